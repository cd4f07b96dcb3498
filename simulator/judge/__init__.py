"""An independent judge: laws that every update must keep, and the truth that the sessions must tell."""
