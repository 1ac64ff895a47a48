//go:build !amd64

package tag

// orderedBytes cannot tell on this kind of processor.
func orderedBytes([]byte) int { return 0 }

// orTurns leaves all steps to its caller.
func orTurns([]uint64) (done int, steps uint64) { return 0, 0 }
