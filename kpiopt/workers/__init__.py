"""Workers: serial, threads, processes, a cluster; interruption."""
