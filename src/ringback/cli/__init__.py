"""The command line: one file per verb, thin shells over the rooms below.

`main` registers the verbs; each verb imports what it needs inside its function, so that help stays fast. Failures of
all verbs have one form and one table of codes: `failure`.
"""
