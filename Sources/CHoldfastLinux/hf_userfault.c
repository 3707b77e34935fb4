#include "hf_userfault.h"
