package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk"
)

const (
	runtimePrefix = "tsrun-" // of private directories of sockets
	// aliveFile is locked as long as the process lives that a directory belongs to.
	aliveFile = "alive"
	// lastingAfter is how long plugins of a process that was killed may still be at work.
	lastingAfter = time.Minute
)

// Runtime is a private directory for the sockets of plugins, among the temporary files. What
// a process that was killed has left of it goes when the next is made.
type Runtime struct {
	path  string
	alive *os.File // open and locked while it is in use
}

// NewRuntime makes one. Its name is short, because the path of a socket ends at 107 bytes.
func NewRuntime() (*Runtime, error) {
	sweepRuntime(os.TempDir(), time.Now())
	dir, err := os.MkdirTemp("", runtimePrefix) // 0700
	if err != nil {
		return nil, noRuntime(err)
	}
	r := &Runtime{path: dir}
	unlocked := filepath.Join(dir, "new") // under this name nobody else removes it
	if r.alive, err = os.Create(unlocked); err == nil {
		err = errors.Join(run.Lock(r.alive), os.Rename(unlocked, filepath.Join(dir, aliveFile)))
	}
	if err != nil {
		r.Remove()
		return nil, noRuntime(err)
	}
	return r, nil
}

func noRuntime(err error) error {
	return &sdk.Failure{Code: "runtime-directory", Message: fmt.Sprintf("make a private directory for sockets, among the temporary files of this PC: %v", err),
		Hint: "set TMPDIR there to a directory that this user may write to, with some space"}
}

// Path is where it is.
func (r *Runtime) Path() string { return r.path }

// Remove removes it with all that is in it; of none it does nothing.
func (r *Runtime) Remove() {
	if r == nil {
		return
	}
	_ = os.RemoveAll(r.path) // what stays is swept away by another process
	r.alive.Close()
}

// sweepRuntime removes what processes of this user that were killed have left in the
// directory of temporary files. It touches nothing else, and says nothing.
func sweepRuntime(root string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(root, runtimePrefix+"*")) // the pattern is right
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !isOurs(info) || now.Sub(info.ModTime()) < lastingAfter {
			continue
		}
		f, err := openLock(filepath.Join(dir, aliveFile))
		if err != nil {
			continue
		}
		if run.Lock(f) == nil {
			_ = os.RemoveAll(dir) // what stays is tried by the next
		}
		f.Close()
	}
}
