#ifndef HF_MEMORY_H
#define HF_MEMORY_H
#endif
