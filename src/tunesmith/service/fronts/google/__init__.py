"""Google's clients come to this server as they are: Vertex AI, Cloud ML Engine, Vizier.

A job or study that a client made is a paper, what the client sent, and a study of the project, with a job of
the server that runs it. What a client is told of it is worked out anew from these each time it asks.

papers, keys                what clients sent, kept; once, if they send it again
orders, work                how a job is handed in, and the process that runs it
states, web                 how a job stands, and where a browser looks into it
vertex                      the routes of Vertex AI's jobs: tuning_jobs, custom_jobs
training_jobs               Cloud ML Engine
studies, study_trials       Vizier, and the older optimizer API: suggesting, bodies, trials, older
operations                  what is done at once and yet has a name: trial_operations
lines, logs                 what jobs print, as Cloud Logging tells it
projects                    Cloud Resource Manager
documents, listing, filters how answers are written, paged and chosen
faults, mounting            Google's form of errors; all routes together
"""
