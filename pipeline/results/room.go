package results

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tsrun/pipeline/host"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

const (
	roomAtLeast = 64 << 20           // bytes that the files of a sink may have
	roomPerByte = 16                 // and for each byte of the tables that it is given
	mostFiles   = 2 * sdk.MaxResults // and directories
	lookEvery   = 100 * time.Millisecond
)

// askWithinRoom asks, and ends a program that fills more than its room.
func (g *giver) askWithinRoom(ctx context.Context, program host.Component, offer *sdk.Offer, dir *os.Root) (answer sdk.ResultsAnswer, err error) {
	room, err := g.room()
	if err == nil {
		err = g.beyond(dir, room)
	}
	if err != nil {
		return answer, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.watch(ctx, stop, dir, room)
	}()
	answer, err = g.ask(ctx, program, offer, dir.Name())
	stop(nil)
	<-watched
	if err == nil {
		err = g.beyond(dir, room) // it may have been quick
	}
	return answer, err
}

func (g *giver) watch(ctx context.Context, stop context.CancelCauseFunc, dir *os.Root, room int64) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := g.beyond(dir, room); err != nil {
			stop(err)
			return
		}
	}
}

// room is how many bytes the files of the sink may have.
func (g *giver) room() (int64, error) {
	given := int64(0)
	for _, table := range g.tables {
		if table == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(g.Dir, filepath.FromSlash(table)))
		if err != nil {
			return 0, err
		}
		given += info.Size()
	}
	return roomAtLeast + roomPerByte*given, nil
}

// beyond says that the sink has filled more than its room, or the disk.
func (g *giver) beyond(dir *os.Root, room int64) error {
	bytes, files := int64(0), 0
	_ = fs.WalkDir(dir.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone since
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		if files++; files > mostFiles || bytes > room || bytes < 0 {
			return fs.SkipAll
		}
		return nil
	})
	if bytes > room || bytes < 0 || files > mostFiles {
		return &sdk.Failure{Code: "too-much", Message: fmt.Sprintf("it has written more than the %d MiB or the %d files that its results may take; they were removed", room>>20, mostFiles),
			Hint: "the plugin writes more than what it was given: ask who made it"}
	}
	below := g.Recipe.Faults.DiskBelow / 2 // a recording ends at the whole, its results still come
	free, err := run.FreeSpace(dir.Name())
	if err == nil && free < below {
		return &sdk.Failure{Code: "disk-below", Field: "faults.disk_below",
			Message: fmt.Sprintf("%s has %d MiB left, and %d MiB, the half of faults.disk_below, stay free: what it wrote was removed", dir.Name(), free>>20, below>>20),
			Hint:    "free some space; what the stages found is in " + run.ResultsDir + " of the run directory all the same"}
	}
	return err
}
