"""The control plane of a madfleet: enrolment, desired states, reports, Admin API and command line."""
