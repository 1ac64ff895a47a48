package slave

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tsrun/pipeline/host"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// makeDirectories makes a place for recorded files, and one for sockets.
func (s *session) makeDirectories() error {
	if err := os.MkdirAll(filepath.Join(s.dir, s.rawDir()), 0o755); err != nil {
		return &sdk.Failure{Code: "data-directory", Message: fmt.Sprintf("make the directory for recorded files: %v", err),
			Hint: "choose a writable one with --data on that PC, or free space there"}
	}
	if err := s.checkSpace(); err != nil {
		return err
	}
	var err error
	if s.ledger, err = newLedger(s.dir, s.welcome); err != nil {
		return err
	}
	s.reporter.setLedger(s.ledger)
	sweepRuntime(os.TempDir(), time.Now())
	s.runtime, s.alive, err = makeRuntime()
	return err
}

// checkSpace makes sure that there is room for what is kept here. Files that go
// once the master has them make room for others.
func (s *session) checkSpace() error {
	keeps := func(sink string) bool { return host.KeepsFiles(s.options.PluginDirs, sink) }
	tags := s.recipe.LeastTags(s.node.Name, keeps)
	stays := tags
	if s.recipe.Transfer.KeepSource != "always" {
		stays = 0
	}
	room, err := run.CheckSpace(s.dir, s.recipe.Faults.DiskBelow, stays)
	s.log.Info("room for files", "directory", s.dir, "free_bytes", int64(room.Free), "expected_tags", tags)
	if warning := room.Warning(); err == nil && warning != "" {
		s.log.Warn("room for files is short", "warning", warning)
		s.reporter.queueNews(wire.News{Warning: &wire.Warning{Message: warning, Hint: "free some space, or measure for a shorter time"}})
	}
	return err
}

// rawDir is where this node's files stand, here and in the master's run directory.
func (s *session) rawDir() string { return filepath.Join("raw", s.node.Name) }

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
		err = errors.Join(run.Lock(alive), os.Rename(unlocked, filepath.Join(dir, aliveFile)))
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
		if run.Lock(f) == nil {
			_ = os.RemoveAll(dir) // what stays is tried by the next
		}
		f.Close()
	}
}
