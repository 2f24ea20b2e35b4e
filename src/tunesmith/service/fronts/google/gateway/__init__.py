"""The gRPC front: each call becomes a request to the REST front, and its answer the call's.

So there is one meaning of every call, and the server needs no gRPC. `tunesmith google-env` runs it for a program
that can't be pointed at http, with what makes the program find it: a certificate, a tunnel, an account. A server
may run it, too, for programs on other machines.

protos/, proto_text, schema     what clients send and read
transcoder                      a call as a request, an answer as the call's
front                           gRPC itself
account                         who the program says that it is, and a certificate that it believes
tunnel                          a proxy that leads Google's hosts to the front, and all others where they are
surroundings                    all of these for one program, as variables of its environment
"""
