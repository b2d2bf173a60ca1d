"""The commands, a module each; `common` holds what they share. Each imports what is heavy when it runs."""
