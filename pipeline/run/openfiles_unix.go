//go:build unix

package run

import (
	"math"
	"syscall"
)

// mayOpen is how many files this process may have open; 0: nobody knows. Go has raised
// it as far as it may be.
func mayOpen() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
