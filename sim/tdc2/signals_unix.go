//go:build unix

package tdc2

import (
	"os"
	"os/signal"
	"syscall"
)

// inhibition follows the signals that enable (SIGUSR1) and inhibit (SIGUSR2).
func inhibition(from bool) (inhibited func() bool, stop func()) {
	came := make(chan os.Signal, 16)
	signal.Notify(came, syscall.SIGUSR1, syscall.SIGUSR2)
	return func() bool {
		for {
			select {
			case s := <-came:
				from = s == syscall.SIGUSR2
			default:
				return from
			}
		}
	}, func() { signal.Stop(came) }
}
