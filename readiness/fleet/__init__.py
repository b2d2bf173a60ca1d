"""Many deployments, audited at the same time: what to audit, the work itself, where it runs, and the overview.

deployments   fleet.yaml -> deployments, validated before anything is contacted
work          one audit as a picklable function: a sealed order -> plain data
local         an executor of processes with several calls in each; Dask brings its own
running       submits what is to do, keeps what is done in a folder, and survives what goes wrong
overview      every deployment as a row -> the figures of the fleet
terminal, html, document   the overview for people and for programs
"""
