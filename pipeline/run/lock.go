package run

import (
	"errors"
	"time"

	"tsrun/pipeline/journal"
)

// lockPause is between two attempts to take a lock.
const lockPause = 20 * time.Millisecond

// LockWithin calls take, which takes a lock as [Lock] does, until no other process
// has it, but no longer than patience. The error is the last one of take: ErrLocked of
// the package journal while another process has the lock; any other ends the attempts.
func LockWithin(patience time.Duration, take func() error) error {
	for until := time.Now().Add(patience); ; time.Sleep(lockPause) {
		if err := take(); !errors.Is(err, journal.ErrLocked) || !time.Now().Before(until) {
			return err
		}
	}
}
