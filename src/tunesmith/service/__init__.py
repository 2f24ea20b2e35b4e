"""The server: studies over HTTP, for a team."""
