"""Running containers: OCI bundles, conmon, runc or crun, standard streams, logs; images in ``images/``."""
