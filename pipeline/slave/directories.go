package slave

import (
	"fmt"
	"os"
	"path/filepath"

	"tsrun/pipeline/host"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// makeDirectories makes a place for recorded files, and one for sockets.
func (s *session) makeDirectories() error {
	if err := run.CheckPath(s.dir); err != nil {
		return err
	}
	// Its own, those of each plugin, and the connections over which files go.
	const own, ofPlugin = 14, 6
	if err := run.CheckOpenFiles(own + ofPlugin*(len(s.node.Controllers)+len(s.recipe.Sinks)) + s.recipe.Transfer.Streams); err != nil {
		return err
	}
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
	s.runtime, err = host.NewRuntime()
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
	if r := s.recipe; r.Transfer.KeepSource == "always" {
		if err := run.CheckFiles(s.dir, r.Files(s.node.Name, keeps)); err != nil {
			return err
		}
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
