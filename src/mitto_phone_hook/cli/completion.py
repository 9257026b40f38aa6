"""``mitto-phone-hook completion``: what a shell needs to complete commands and options. Made from the parsers themselves."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from mitto_phone_hook.cli.terminal import Terminal

SHELLS = {
    "bash": 'eval "$(mitto-phone-hook completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(mitto-phone-hook completion zsh)" in ~/.zshrc, after compinit',
    "fish": "mitto-phone-hook completion fish > ~/.config/fish/completions/mitto-phone-hook.fish",
}
"""The shells, and how each takes the output."""

_BASH = """\
_mitto_phone_hook() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{values}
  *)
    case "$((COMP_CWORD > 1)) ${{COMP_WORDS[1]}}" in
    0\\ *) words="{commands}" ;;
{options}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _mitto_phone_hook mitto-phone-hook
"""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    said = "Print the completion of commands, options and their values for a shell.\n\n"
    uses = "".join(f"{shell:<5} {use}\n" for shell, use in SHELLS.items())
    form = {"description": said + uses, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = parsers.add_parser("completion", help="completion for bash, zsh or fish", **form)
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _environment: Mapping[str, str], terminal: Terminal) -> int:
    """Print it."""
    # This module is one of those that the parsers come from.
    from mitto_phone_hook.cli.command import parser_of  # noqa: PLC0415 - see above

    [commands] = [action.choices for action in parser_of()._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no other way
    terminal.write("".join(_fish(commands)) if options.shell == "fish" else _bash(commands, options.shell))
    return 0


def _bash(commands: Mapping[str, argparse.ArgumentParser], shell: str) -> str:
    """Give a function for bash, which zsh can use, too."""
    options, values = [], []
    for name, parser in commands.items():
        actions = parser._actions  # noqa: SLF001 - as above
        own = [one.option_strings[-1] for one in actions if one.option_strings] + [
            str(value) for one in actions if not one.option_strings for value in one.choices or ()
        ]
        options.append(f'    *\\ {name}) words="{" ".join(own)}" ;;')
        values += [
            f'  "{name} {one.option_strings[-1]}") words="{" ".join(map(str, one.choices or ()))}" ;;'
            for one in actions
            if one.option_strings and one.nargs != 0
        ]
    start = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return start + _BASH.format(commands=" ".join(commands), options="\n".join(options), values="\n".join(values))


def _fish(commands: Mapping[str, argparse.ArgumentParser]) -> Iterator[str]:
    for name, parser in commands.items():
        yield f"complete -c mitto-phone-hook -n __fish_use_subcommand -f -a {name}\n"
        for one in parser._actions:  # noqa: SLF001 - as above
            choices = f" -x -a '{' '.join(map(str, one.choices))}'" if one.choices else " -r" if one.nargs != 0 else ""
            if one.option_strings or one.choices:
                option = f" -l {one.option_strings[-1].lstrip('-')}" if one.option_strings else ""
                yield f"complete -c mitto-phone-hook -n '__fish_seen_subcommand_from {name}'{option}{choices}\n"
