"""The bundled checks, a folder a component and a module a topic."""
