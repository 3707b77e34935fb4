#ifndef HF_USERFAULT_H
#define HF_USERFAULT_H
#endif
