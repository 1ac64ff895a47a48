package results

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// longestLine is how long a line of a table may be, in bytes.
const longestLine = 1 << 20

// tableOf is the file of a result's table, relative to the run directory; "": it has none.
func tableOf(r run.Result) string {
	for _, name := range r.Files {
		if strings.HasSuffix(name, ".csv") {
			return name
		}
	}
	return ""
}

// headOf says what a result is. A table is read through for it.
func headOf(dir string, r run.Result) (h sdk.ResultHead, err error) {
	h = sdk.ResultHead{Stage: r.Stage, Kind: r.Kind, File: run.PlainName(r.Stage), Columns: []sdk.ResultColumn{}, Summary: r.Summary}
	table := tableOf(r)
	if table == "" {
		return h, nil
	}
	cells := []seen{}
	err = lines(dir, table, func(columns []string) error {
		if len(columns) > sdk.MaxResultColumns {
			return fmt.Errorf("its table has %d columns, a sink takes up to %d", len(columns), sdk.MaxResultColumns)
		}
		for _, name := range columns {
			h.Columns, cells = append(h.Columns, sdk.ResultColumn{Name: name, Unit: unitOf(name)}), append(cells, seen{})
		}
		return nil
	}, func(row []byte) error {
		if h.Rows++; h.Rows > sdk.MaxResultCells/len(h.Columns) {
			return fmt.Errorf("its table has more than the %d cells that a sink takes; it is in %s", sdk.MaxResultCells, table)
		}
		rest, more := string(row), true
		for i := range h.Columns {
			cell := rest
			if cell, rest, more = strings.Cut(rest, ","); more == (i == len(h.Columns)-1) {
				return fmt.Errorf("row %d of its table has not %d cells", h.Rows, len(h.Columns))
			}
			cells[i].add(cell)
		}
		return nil
	})
	for i, s := range cells {
		h.Columns[i].Type = s.narrowest()
	}
	return h, err
}

// seen is what the cells of a column are, as far as it was read.
type seen struct {
	integers, numbers, texts bool
	long                     bool // an integer is so long that a float would not have its last digits
}

func (s *seen) add(cell string) {
	if cell == "" || s.texts {
		return
	}
	n, err := strconv.ParseInt(cell, 10, 64)
	switch {
	case err == nil:
		s.integers, s.long = true, s.long || n > sdk.ExactInteger || n < -sdk.ExactInteger
		return
	case errors.Is(err, strconv.ErrRange):
		s.texts = true
		return
	}
	_, err = strconv.ParseFloat(cell, 64)
	s.numbers, s.texts = err == nil || s.numbers, err != nil
}

// narrowest is the narrowest type that takes all cells as they are.
func (s seen) narrowest() sdk.ResultType {
	switch {
	case s.texts || s.long && s.numbers:
		return sdk.Text
	case s.integers && !s.numbers:
		return sdk.Integer
	}
	return sdk.Number
}

// unitOf is the unit that the name of a column says.
func unitOf(name string) string {
	for _, unit := range []string{"ps", "ppb", "hz"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

// lines reads a table: the names of its columns, and its rows.
func lines(dir, table string, heading func(columns []string) error, row func([]byte) error) (err error) {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(table)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s := bufio.NewScanner(bufio.NewReaderSize(file, 256<<10))
	s.Buffer(nil, longestLine)
	begun := false
	for s.Scan() {
		line := s.Bytes()
		switch {
		case begun:
			err = row(line)
		case len(line) > 0 && line[0] == '#':
		default:
			begun = true
			err = heading(strings.Split(string(line), ","))
		}
		if err != nil {
			return err
		}
	}
	if s.Err() == nil && !begun {
		return fmt.Errorf("%s has no heading", table)
	}
	return s.Err()
}

// writeRows writes the rows of a table as a plugin reads them.
func writeRows(w io.Writer, dir, table string) error {
	return lines(dir, table, func([]string) error { return nil }, func(row []byte) error {
		if _, err := w.Write(row); err != nil {
			return err
		}
		_, err := w.Write([]byte{'\n'})
		return err
	})
}
