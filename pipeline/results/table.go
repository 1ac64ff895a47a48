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
	unvalued := []bool{}
	err = lines(dir, table, func(columns []string) error {
		if len(columns) > sdk.MaxResultColumns {
			return fmt.Errorf("its table has %d columns, a sink takes up to %d", len(columns), sdk.MaxResultColumns)
		}
		for _, name := range columns {
			h.Columns, unvalued = append(h.Columns, sdk.ResultColumn{Name: name, Unit: unitOf(name), Type: sdk.Integer}), append(unvalued, true)
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
			if cell != "" {
				unvalued[i] = false
				h.Columns[i].Type = widened(h.Columns[i].Type, cell)
			}
		}
		return nil
	})
	for i, without := range unvalued {
		if without {
			h.Columns[i].Type = sdk.Number
		}
	}
	return h, err
}

// widened is the narrowest type that takes a cell, too.
func widened(t sdk.ResultType, cell string) sdk.ResultType {
	if t == sdk.Integer {
		_, err := strconv.ParseInt(cell, 10, 64)
		switch {
		case err == nil:
			return t
		case errors.Is(err, strconv.ErrRange): // a float would not have its last digits
			return sdk.Text
		}
	}
	if t != sdk.Text {
		if _, err := strconv.ParseFloat(cell, 64); err == nil {
			return sdk.Number
		}
	}
	return sdk.Text
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
