/// Calls and constants that Glibc's Swift overlay lacks, one header for each topic.
#ifndef CHOLDFASTLINUX_H
#define CHOLDFASTLINUX_H

#include "hf_copy.h"
#include "hf_files.h"
#include "hf_mappings.h"
#include "hf_memory.h"
#include "hf_nodes.h"
#include "hf_probe.h"
#include "hf_processes.h"
#include "hf_service.h"
#include "hf_sockets.h"
#include "hf_thread.h"
#include "hf_userfault.h"
#include "hf_zero.h"

#endif
