"""The jinja2 templates of the reports; a user's folder can override any of them."""
