package slave

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
)

// heir is a master that takes the run over, and why it refuses files; "": it takes them.
type heir struct{ id, refuses string }

// TestEachMasterIsOfferedTheFiles: what a master refused is offered to the one that takes
// the run over, once, and who is the last decides.
func TestEachMasterIsOfferedTheFiles(t *testing.T) {
	full, taken := heir{"", "the disk is full"}, heir{"", ""}
	called := func(h heir, id string) heir { h.id = id; return h }
	for name, c := range map[string]struct {
		first   heir
		heirs   []heir
		knows   int  // quarters of what the one before was told
		gone    bool // the slave's file, before the first heir
		offered []string
		unsent  bool
	}{
		"one takes them":            {called(taken, "1"), nil, 4, false, []string{"1"}, false},
		"one refuses them":          {called(full, "1"), nil, 4, false, []string{"1"}, true},
		"refused, then taken":       {called(full, "1"), []heir{called(taken, "2")}, 4, false, []string{"1", "2"}, false},
		"refused, by all":           {called(full, "1"), []heir{called(full, "2")}, 4, false, []string{"1", "2"}, true},
		"refused twice, and taken":  {called(full, "1"), []heir{called(full, "2"), called(taken, "3")}, 4, false, []string{"1", "2", "3"}, false},
		"taken, and taken over":     {called(taken, "1"), []heir{called(taken, "2")}, 4, false, []string{"1", "2"}, false},
		"taken, then refused":       {called(taken, "1"), []heir{called(full, "2")}, 4, false, []string{"1", "2"}, true},
		"gone meanwhile":            {called(full, "1"), []heir{called(taken, "2")}, 4, true, []string{"1", "2"}, true},
		"one that says nothing":     {taken, nil, 4, false, []string{""}, false},
		"a later release resumes":   {full, []heir{called(taken, "2")}, 4, false, []string{"", "2"}, false},
		"it knows half of the news": {called(full, "1"), []heir{called(taken, "2")}, 2, false, []string{"1", "2"}, false},
		"it knows no news":          {called(taken, "1"), []heir{called(taken, "2"), called(taken, "3")}, 0, false, []string{"1", "2", "3"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "", "", "")
			l.master, l.refuses = c.first.id, c.first.refuses
			var offered []string
			l.give = func(p wire.Phase) wire.OrderKind {
				if p != wire.Done {
					return straight(p)
				}
				offered = append(offered, l.offered)
				if len(offered) > len(c.heirs) {
					return wire.Release
				}
				next := c.heirs[len(offered)-1]
				l.master, l.refuses = next.id, next.refuses
				l.news = l.news[:len(l.news)*c.knows/4]
				if c.gone {
					_ = os.RemoveAll(filepath.Join(l.data, l.run.String()+"-bob", "raw"))
				}
				return 0
			}
			err := l.takePart(l.options())
			l.mu.Lock() // the master may still answer a report of a slave that has ended
			told := slices.Clone(offered)
			l.mu.Unlock()
			if (err != nil) != c.unsent || !slices.Equal(told, c.offered) {
				t.Errorf("offered to %q, and it ended with %v", told, err)
			}
			refused := 0
			for _, h := range append([]heir{c.first}, c.heirs...) {
				if h.refuses != "" {
					refused++
				}
			}
			if c.gone {
				refused++
			}
			if codes := l.failures(); len(codes) != refused || slices.ContainsFunc(codes, func(code string) bool { return code != wire.NotSent }) {
				t.Errorf("%d of the masters took nothing, and the failures %v were told", refused, codes)
			}
			if kept := l.kept(); (len(kept) > 0) != (c.unsent && !c.gone) {
				t.Errorf("kept %v", kept)
			}
			if c.unsent {
				return
			}
			if tags := l.segments(); tags != 1000 {
				t.Errorf("%d tags arrived, want 1000", tags)
			}
		})
	}
}

// TestWhatWasToldOfStays: the files of a session that was given up stay when the master
// was told of them, and go when it was not.
func TestWhatWasToldOfStays(t *testing.T) {
	for name, c := range map[string]struct {
		fired bool
		err   error
		files []transfer.File
		stays bool
	}{
		"never fired":               {false, errAborted, nil, false},
		"never fired, and told of":  {false, errAborted, []transfer.File{{ID: 1}}, true},
		"called off":                {true, errAborted, nil, false},
		"recorded, and then thrown": {true, errAborted, []transfer.File{{ID: 1}}, true},
		"over":                      {true, nil, nil, true},
	} {
		s := &session{fired: c.fired, files: c.files, dir: filepath.Join(t.TempDir(), "run"), log: slog.New(slog.DiscardHandler)}
		s.node = &recipe.Node{Name: "bob"}
		if err := os.MkdirAll(filepath.Join(s.dir, s.rawDir()), 0o755); err != nil {
			t.Fatal(err)
		}
		s.discardUnused(c.err)
		if _, err := os.Stat(s.dir); (err == nil) != c.stays {
			t.Errorf("%s: it stays: %v", name, err == nil)
		}
	}
}
