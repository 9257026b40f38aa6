"""The alternatives in their smallest form: receive the hook's POST, post to Mitto, respond."""
