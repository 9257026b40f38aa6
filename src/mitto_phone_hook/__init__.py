"""An identity platform hands over a phone message; exactly one SMS leaves through Mitto, or the caller learns why not."""
