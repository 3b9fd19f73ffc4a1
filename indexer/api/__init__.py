"""The world going out: HTTP, the websocket hub, OpenAPI and the page."""
