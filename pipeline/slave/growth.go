package slave

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

const (
	growthEvery = 2 * time.Second
	// stillTold is how long the files of a sink may stand still while tags come,
	// before the user is told, and stillFailed before it is given up. Where segments
	// are longer, so are these: a sink may write a segment when it is full.
	stillTold   = 10 * time.Second
	stillFailed = 30 * time.Second
	// stillTags is how many tags a sink may hold in memory: less than so many since
	// its files last grew say nothing.
	stillTags = 1 << 23
)

// growth judges whether the files of a sink grow while tags come.
type growth struct {
	told, failed time.Duration

	bytes int64 // when they last grew
	files int64
	tags  uint64
	at    time.Time
	said  bool
}

// newGrowth judges files of segments of a length.
func newGrowth(segment time.Duration) *growth {
	return &growth{told: max(stillTold, segment+segment/2), failed: max(stillFailed, 2*segment), bytes: -1}
}

type verdict int

const (
	grows verdict = iota
	stands
	standsTooLong
)

// note takes in the bytes on the disk, the files closed and the tags given to the
// sink until now. It returns stands once, and anew after each growth.
func (g *growth) note(now time.Time, bytes, files int64, tags uint64) verdict {
	if bytes != g.bytes || files != g.files {
		*g = growth{g.told, g.failed, bytes, files, tags, now, false}
		return grows
	}
	still := now.Sub(g.at)
	switch {
	case tags-g.tags < stillTags || still < g.told:
		return grows
	case still >= g.failed:
		return standsTooLong
	case g.said:
		return grows
	}
	g.said = true
	return stands
}

// watchSinks gives up a sink that takes tags and writes none of them, until the
// recording is over. One that takes none is found by the core.
func (eq *equipment) watchSinks() {
	watched := map[*sink]*growth{}
	for _, k := range eq.sinks {
		if k.plugin().Component().Keeps == sdk.AllTags {
			watched[k] = newGrowth(eq.s.recipe.Acquire.Segment.Duration())
		}
	}
	tick := time.NewTicker(growthEvery)
	defer tick.Stop()
	for len(watched) > 0 {
		select {
		case <-eq.recorded:
			return
		case now := <-tick.C:
			for k, g := range watched {
				if !eq.watchSink(k, g, now) {
					delete(watched, k)
				}
			}
		}
	}
}

// watchSink looks at the files of one sink; false: it has been given up.
func (eq *equipment) watchSink(k *sink, g *growth, now time.Time) bool {
	files := k.files.Load()
	if files != g.files { // then what the disk says is not needed
		g.note(now, 0, files, eq.given(k))
		return true
	}
	dir := filepath.Join(eq.s.dir, k.dir)
	switch tags := eq.given(k); g.note(now, sizeOf(dir), files, tags) {
	case stands:
		message := fmt.Sprintf("the files of sink %s have not grown for %v, while %d tags came", k.recipe.Name, now.Sub(g.at).Round(time.Second), tags-g.tags)
		eq.log.Warn("the files of a sink do not grow", "sink", k.recipe.Name, "tags", tags-g.tags)
		eq.s.reporter.queueNews(wire.News{Warning: &wire.Warning{Message: message, Hint: fmt.Sprintf("look at its disk and at the plugin; after %v it is given up", g.failed)}})
	case standsTooLong:
		var failure error = &sdk.Failure{Code: "sink-stands",
			Message: fmt.Sprintf("%s.%s took %d tags and wrote nothing to %s for %v, so it got no more", eq.s.node.Name, k.recipe.Name, tags-g.tags, dir, now.Sub(g.at).Round(time.Second)),
			Hint:    "look at the disk of that PC and at the plugin; files that were closed are whole"}
		k.stands.Store(&failure)
		k.plugin().Kill()
		return false
	}
	return true
}

// given is how many tags came for a sink.
func (eq *equipment) given(k *sink) (tags uint64) {
	for _, c := range eq.core.Counts() {
		for _, stream := range k.streams {
			if c.Stream == stream {
				tags += c.Tags
			}
		}
	}
	return tags
}

// sizeOf is the size of all files below a directory, as far as they can be seen.
func sizeOf(dir string) (bytes int64) {
	_ = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && name == clock.RecordDir {
			return fs.SkipDir // no sink writes there
		}
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
