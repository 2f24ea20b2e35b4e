"""The server: studies over HTTP, for a team.

app, run, settings      the server as a whole
gate, access, call      what a request passes; who asks; what a route is given
routes/                 what one can ask, a module for each group
desk                    live studies, at which many clients are served together
watch, events           who is told when a study changes
"""
