package slave

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	runtimePrefix = "tsrun-" // of private directories of sockets
	// aliveFile is locked as long as the process lives that a directory belongs to.
	aliveFile = "alive"
	// lastingAfter is how long plugins of a process that was killed may still be at work.
	lastingAfter = time.Minute
)

// makeRuntime makes a private directory for sockets; short, because their paths
// end at 107 bytes. The file is open and locked while it is in use.
func makeRuntime() (dir string, alive *os.File, err error) {
	if dir, err = os.MkdirTemp("", runtimePrefix); err != nil { // 0700
		return "", nil, fmt.Errorf("make a private directory for sockets: %w", err)
	}
	unlocked := filepath.Join(dir, "new") // under this name no other slave removes it
	if alive, err = os.Create(unlocked); err == nil {
		err = errors.Join(lock(alive), os.Rename(unlocked, filepath.Join(dir, aliveFile)))
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("make a private directory for sockets: %w", err), os.RemoveAll(dir))
	}
	return dir, alive, nil
}

func (s *session) removeRuntime() {
	if s.alive == nil {
		return
	}
	_ = os.RemoveAll(s.runtime) // what stays is swept away by another slave
	s.alive.Close()
}

// sweepRuntime removes what slaves that were killed have left in the directory
// of temporary files. It touches nothing that it may not, and says nothing.
func sweepRuntime(root string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(root, runtimePrefix+"*")) // the pattern is right
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < lastingAfter {
			continue
		}
		f, err := openLock(filepath.Join(dir, aliveFile))
		if err != nil {
			continue
		}
		if lock(f) == nil {
			_ = os.RemoveAll(dir) // what stays is tried by the next
		}
		f.Close()
	}
}
