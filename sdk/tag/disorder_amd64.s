#include "textflag.h"

// func orSteps(payload *byte, turns int) (steps, last uint64)
TEXT ·orSteps(SB), NOSPLIT, $0-32
	MOVQ  payload+0(FP), SI
	MOVQ  turns+8(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2

turn: // each tag is loaded beside the one before it; what is 1 KiB ahead is fetched meanwhile
	PREFETCHT0 1024(SI)
	PREFETCHT0 1088(SI)
	VMOVDQU    8(SI), Y4
	VMOVDQU    40(SI), Y5
	VMOVDQU    72(SI), Y6
	VMOVDQU    104(SI), Y7
	VPOR       Y7, Y2, Y2
	VPSUBQ     (SI), Y4, Y4
	VPSUBQ     32(SI), Y5, Y5
	VPSUBQ     64(SI), Y6, Y6
	VPSUBQ     96(SI), Y7, Y7
	VPOR       Y4, Y0, Y0
	VPOR       Y5, Y1, Y1
	VPOR       Y6, Y0, Y0
	VPOR       Y7, Y1, Y1
	ADDQ       $128, SI
	DECQ       CX
	JNZ        turn

	// Four parts of a register become one.
	VPOR         Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPOR         X1, X0, X0
	VPSRLDQ      $8, X0, X1
	VPOR         X1, X0, X0
	MOVQ         X0, steps+16(FP)
	VEXTRACTI128 $1, Y2, X1
	VPOR         X1, X2, X2
	VPSRLDQ      $8, X2, X1
	VPOR         X1, X2, X2
	MOVQ         X2, last+24(FP)
	VZEROUPPER
	RET
