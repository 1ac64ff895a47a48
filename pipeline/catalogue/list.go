package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"tsrun/pipeline/run"
)

// Query says which runs are wanted, and what of them.
type Query struct {
	Columns []string // named ones and paths of the manifest; none: all named ones
	Where   []string // conditions that all hold, as condition=GOOD
}

// Table is what is known of the runs of a directory, a row each, the oldest first.
type Table struct {
	Columns []string
	Rows    [][]any // in the order of Columns: text, []string, json.Number, bool; nil is no value
}

// List reads the runs of a directory. What in it is no run is passed over; a run whose
// manifest cannot be read has its directory and why, and meets no condition but on
// those two.
func (q Query) List(dir string) (Table, error) {
	t := Table{Columns: q.Columns}
	if len(t.Columns) == 0 {
		t.Columns = Names()
	}
	where := make([]clause, len(q.Where))
	asked := slices.Clone(t.Columns)
	for i, text := range q.Where {
		c, err := parseClause(text)
		if err != nil {
			return t, &MistakeError{err.Error()}
		}
		where[i], asked = c, append(asked, c.column)
	}
	paths, err := run.Runs(dir)
	if err != nil {
		return t, err
	}
	unknown := slices.DeleteFunc(asked, func(name string) bool { return slices.Contains(Names(), name) })
	read := false
	type started struct {
		at  string
		row []any
	}
	var rows []started
	for _, path := range paths {
		e := &entry{directory: path}
		e.manifest, e.err = run.ReadManifest(path)
		read = read || e.manifest != nil
		unknown = slices.DeleteFunc(unknown, e.knows)
		for _, c := range where {
			if c.misread(e.value(c.column)) {
				return t, &MistakeError{fmt.Sprintf("%s is a number, and %q is none, without a unit; write it as %s%s1000", c.column, c.than, c.column, c.is)}
			}
		}
		if slices.ContainsFunc(where, func(c clause) bool {
			return !c.holds(e.value(c.column)) || e.manifest == nil && c.column != "error" && c.column != "directory"
		}) {
			continue
		}
		row := make([]any, len(t.Columns))
		for i, name := range t.Columns {
			row[i] = e.value(name)
		}
		at := ""
		if e.manifest != nil && !e.manifest.Started.IsZero() {
			at = e.manifest.Started.UTC().Format("2006-01-02T15:04:05.000000000")
		}
		rows = append(rows, started{at, row})
	}
	if len(unknown) > 0 && read {
		return t, &MistakeError{fmt.Sprintf("no run in %s has %q; write one of %s, or a path of manifest.json, as nodes.NODE.channels.CHANNEL.rate_hz or results.STAGE.KEY",
			dir, unknown[0], strings.Join(Names(), ", "))}
	}
	slices.SortStableFunc(rows, func(a, b started) int { return strings.Compare(a.at, b.at) })
	for _, r := range rows {
		t.Rows = append(t.Rows, r.row)
	}
	return t, nil
}

// MistakeError is a mistake in what a user asked for.
type MistakeError struct{ message string }

func (m *MistakeError) Error() string { return m.message }
