#ifndef HF_PROBE_H
#define HF_PROBE_H
#endif
