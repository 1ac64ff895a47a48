// Package series takes several runs of a recipe, one for each value of what varies, into
// one directory, and says in one table and pictures what came of them.
//
//	recipe.Scan ──▶ Begin ──▶ series.json ──▶ Run ── Take (a run of its own) ──▶ what it found
//	                Open ───────┘              └──▶ series.csv, pictures
//
// series.json is written after each run. A series that was ended, however, goes on with the
// first run that it has no answer of.
package series

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// File is what a directory of a series has.
const File = "series.json"

// maxFile bounds what is read of it: ten thousand runs of many channels.
const maxFile = 64 << 20

// version is that of its form.
const version = 1

// Series is a series of runs, and what is known of it.
type Series struct {
	Version int         `json:"version"`
	Name    string      `json:"name"`
	Recipe  []Source    `json:"recipe"`        // its file, and its parents
	Set     []string    `json:"set,omitempty"` // as for a run
	Scan    recipe.Scan `json:"scan"`
	Started time.Time   `json:"started"`
	Ended   *time.Time  `json:"ended"` // null: it may go on
	Shots   []Shot      `json:"shots"` // that were taken, in order
	Channel []string    `json:"channels"`
	dir     string
}

// Source is a file of the recipe, which must be as it was for the series to go on.
type Source struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Shot is a run of the series.
type Shot struct {
	Number    int       `json:"shot"` // from 1
	Values    []string  `json:"values"`
	Directory string    `json:"directory,omitempty"` // of the run, in that of the series
	Condition []string  `json:"condition"`
	Error     string    `json:"error,omitempty"` // why there is no run
	Ended     time.Time `json:"ended"`
	Found
}

// Good reports whether a run is what it should be.
func (s Shot) Good() bool { return slices.Contains(s.Condition, string(run.Good)) }

// ErrStopped is the end of a series because its user ended a run.
var ErrStopped = errors.New("the series was ended")

// Take executes the run of some overrides into a directory, and returns its manifest and
// where it is; ErrStopped, where its user wants no more.
type Take func(ctx context.Context, number int, set []string, dir string) (m *run.Manifest, at string, err error)

// Begin makes the directory of a series.
func Begin(root string, r *recipe.Resolved, now time.Time) (*Series, error) {
	s := &Series{Version: version, Name: r.Recipe.Name, Set: r.Overrides, Scan: *r.Scan, Started: now.UTC(), Shots: []Shot{}}
	for _, f := range r.Files {
		s.Recipe = append(s.Recipe, Source{f.Path, sumOf(f.Bytes)})
	}
	for _, n := range r.Recipe.Nodes {
		for _, c := range n.Channels {
			s.Channel = append(s.Channel, n.Name+"."+c.Name)
		}
	}
	base := filepath.Join(root, s.Started.Format("20060102T150405Z")+"-"+s.Name+"-series")
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, unwritable(root, err)
	}
	for n := 1; n <= 100; n++ {
		if s.dir = base; n > 1 {
			s.dir = fmt.Sprintf("%s-%d", base, n)
		}
		err := os.Mkdir(s.dir, 0o777)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, unwritable(s.dir, err)
		}
		return s, s.save()
	}
	return nil, unwritable(base, fs.ErrExist)
}

func unwritable(path string, err error) error {
	return &sdk.Failure{Code: "run-directory", Message: fmt.Sprintf("make the directory of a series, %s: %v", path, err),
		Hint: "choose another place with --runs, or make this one writable"}
}

// Is reports whether a directory is that of a series.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, File))
	return err == nil
}

// Open reads a series that was begun.
func Open(dir string) (*Series, error) {
	path := filepath.Join(dir, File)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read a series: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read a series: %s has %d bytes, at most %d are read", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a series: %w", err)
	}
	s := &Series{dir: dir}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read a series: %s: %w", path, err)
	}
	return s, s.check(path)
}

// check finds what would not be gone on with rightly.
func (s *Series) check(path string) error {
	wrong := func(what string) error {
		return &sdk.Failure{Code: "series", Message: fmt.Sprintf("read a series: %s %s", path, what), Hint: "begin it anew with tsrun RECIPE; its runs are whole in their directories"}
	}
	axes := s.Scan.Axes
	switch {
	case s.Version != version:
		return wrong(fmt.Sprintf("is of version %d, and this release reads %d", s.Version, version))
	case len(s.Recipe) == 0, len(axes) < 1 || len(axes) > 2:
		return wrong("is no series")
	}
	runs := 1
	for _, a := range axes {
		if len(a.Values) == 0 || len(a.Values) > recipe.MaxScanRuns {
			return wrong("has an axis without values, or with too many")
		}
		runs *= len(a.Values)
	}
	if runs > recipe.MaxScanRuns || len(s.Shots) > runs {
		return wrong("has too many runs")
	}
	for i, shot := range s.Shots {
		if shot.Number != i+1 || !slices.Equal(shot.Values, s.Scan.Values(i)) || !filepath.IsLocal(shot.Directory) && shot.Directory != "" {
			return wrong(fmt.Sprintf("says of shot %d what cannot be", i+1))
		}
	}
	return nil
}

// Unchanged says why the recipe is not that with which the series began.
func (s *Series) Unchanged(files []recipe.File) error {
	same := len(files) == len(s.Recipe)
	for i := 0; same && i < len(files); i++ {
		same = sumOf(files[i].Bytes) == s.Recipe[i].SHA256
	}
	if same {
		return nil
	}
	return &sdk.Failure{Code: "recipe-changed", Message: fmt.Sprintf("go on with a series: the recipe %s, or a parent of it, is not as it was when the series began", s.Recipe[0].Path),
		Hint: "restore it, or begin a series of its own"}
}

// Dir is the directory of the series.
func (s *Series) Dir() string { return s.dir }

// Left is how many runs are still to be taken.
func (s *Series) Left() int {
	if s.Ended != nil {
		return 0
	}
	return s.Scan.Runs() - len(s.Shots)
}

// Failed counts the runs that are not GOOD.
func (s *Series) Failed() (n int) {
	for _, shot := range s.Shots {
		if !shot.Good() {
			n++
		}
	}
	return n
}

// alone takes the series for this process, as it was read: two that take its runs would
// write each over what the other has found.
func (s *Series) alone() (release func(), err error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read a series: %w", err)
	}
	if err := run.Lock(dir); err != nil {
		dir.Close()
		return nil, &sdk.Failure{Code: "series", Message: fmt.Sprintf("go on with the series in %s: %v", s.dir, err),
			Hint: "another tsrun takes its runs: wait for it, or end it"}
	}
	if now, err := Open(s.dir); err != nil || len(now.Shots) != len(s.Shots) {
		dir.Close()
		return nil, &sdk.Failure{Code: "series", Message: fmt.Sprintf("go on with the series in %s: it is not any more as it was read a moment ago", s.dir),
			Hint: "another tsrun has gone on with it: begin again with tsrun resume " + s.dir}
	}
	return func() { dir.Close() }, nil // it was only read
}

// Run takes the runs that are left, and writes the table after each. One that is not GOOD
// ends the series only where the recipe says so.
func (s *Series) Run(ctx context.Context, take Take) error {
	release, err := s.alone()
	if err != nil {
		return err
	}
	defer release()
	for number := len(s.Shots); s.Left() > 0; number++ {
		m, at, err := take(ctx, number+1, s.Scan.Set(number), s.dir)
		if errors.Is(err, ErrStopped) || ctx.Err() != nil {
			return ErrStopped // the next time this one is taken again
		}
		shot := Shot{Number: number + 1, Values: s.Scan.Values(number), Condition: []string{}, Ended: time.Now().UTC()}
		if m != nil {
			shot.Directory, shot.Found = filepath.Base(at), foundIn(m)
			for _, c := range m.Condition {
				shot.Condition = append(shot.Condition, string(c))
			}
		}
		if err != nil {
			shot.Error = err.Error()
		}
		s.Shots = append(s.Shots, shot)
		if s.Left() == 0 || s.Scan.OnFailure == recipe.ScanStops && !shot.Good() {
			s.Ended = new(time.Now().UTC())
		}
		if err = errors.Join(s.save(), s.writeTable(), s.draw()); err != nil {
			return fmt.Errorf("write what the series found: %w", err)
		}
	}
	return nil
}

func (s *Series) save() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return run.WriteAtomic(filepath.Join(s.dir, File), append(text, '\n'))
}
