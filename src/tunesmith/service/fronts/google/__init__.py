"""Google's clients come to this server as they are: Vertex AI, Cloud ML Engine, Vizier.

A job or study that a client made is a paper, what the client sent, and a study of the project, with a job of
the server that runs it. What a client is told of it is worked out anew from these each time it asks.

papers                      what clients sent, kept
orders, work                how a job is handed in, and the process that runs it
tuning_jobs, custom_jobs    Vertex AI
training_jobs               Cloud ML Engine
studies, trials, optimizer  Vizier, and the older optimizer API
operations                  what is done at once and yet has a name
documents, listing          how answers are written, filtered and paged
faults, routes              Google's form of errors; all routes together
"""
