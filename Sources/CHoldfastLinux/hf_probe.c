#include "hf_probe.h"
