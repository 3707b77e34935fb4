#include "hf_memory.h"
