package sdk

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Results are what the stages of a run found, one after the other.
type Results struct {
	Run       string // 32 hexadecimal digits
	Recipe    string // SHA-256 of its file; "": not known
	Simulated bool   // a controller of the run is

	dir    string
	lines  *bufio.Scanner
	left   int
	answer ResultsAnswer
}

// Result is what one stage found.
type Result struct {
	Stage, Kind, File string
	Rows              int
	Columns           []Column        // none: there is no table
	Summary           json.RawMessage // an object, as the run's manifest has it; nil: there is none
}

// Column is one column of a table. One of the three lists has its cells, by its Type.
type Column struct {
	ResultColumn
	Integers []int64
	Numbers  []float64 // without a value: not a number
	Texts    []string
	Missing  []bool // rows without a value; nil: each has one
}

// Has reports whether there is a value in a row.
func (c *Column) Has(row int) bool { return c.Missing == nil || !c.Missing[row] }

// ExactInteger is the longest integer up to which a floating-point number has each.
const ExactInteger = 1 << 53

// Exact reports whether [Column.AsNumbers] has each integer of the column as it is.
func (c *Column) Exact() bool {
	return !slices.ContainsFunc(c.Integers, func(n int64) bool { return n > ExactInteger || n < -ExactInteger })
}

// AsNumbers are the cells of an integer or number column, not a number where there is
// no value.
func (c *Column) AsNumbers() []float64 {
	if c.Type == Number {
		return c.Numbers
	}
	numbers := make([]float64, len(c.Integers))
	for i, n := range c.Integers {
		if numbers[i] = float64(n); !c.Has(i) {
			numbers[i] = math.NaN()
		}
	}
	return numbers
}

// Cell writes the value in a row; "" where there is none.
func (c *Column) Cell(row int) string {
	switch {
	case !c.Has(row):
		return ""
	case c.Type == Integer:
		return strconv.FormatInt(c.Integers[row], 10)
	case c.Type == Number:
		return strconv.FormatFloat(c.Numbers[row], 'g', -1, 64)
	}
	return c.Texts[row]
}

// readResults reads the request that results begin with.
func readResults(in io.Reader, dir string) (*Results, ResultsRequest, error) {
	var q ResultsRequest
	r := &Results{dir: dir, lines: bufio.NewScanner(in), answer: ResultsAnswer{Version: ResultsVersion, Files: []ResultFile{}}}
	r.lines.Buffer(nil, MaxResultLine)
	line, err := r.line()
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	switch {
	case err != nil:
		return nil, q, fmt.Errorf("read request: %w", err)
	case q.Version != ResultsVersion:
		return nil, q, fmt.Errorf("read request: results of version %d, this plugin knows %d", q.Version, ResultsVersion)
	case q.Results < 0 || q.Results > MaxResults:
		return nil, q, fmt.Errorf("read request: %d results, 0 to %d are taken", q.Results, MaxResults)
	}
	r.Run, r.Recipe, r.Simulated, r.left = q.Run, q.Recipe, q.Simulated, q.Results
	return r, q, nil
}

func (r *Results) line() ([]byte, error) {
	if r.lines.Scan() {
		return r.lines.Bytes(), nil
	}
	if err := r.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// plainFile is what a file of a result may be called.
var plainFile = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Next returns the next result, whole, and io.EOF behind the last.
func (r *Results) Next() (*Result, error) {
	if r.left == 0 {
		if r.lines.Scan() {
			return nil, errors.New("read results: there is more behind the last")
		}
		if err := r.lines.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	r.left--
	var h ResultHead
	line, err := r.line()
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	of := &Result{Stage: h.Stage, Kind: h.Kind, File: h.File, Rows: h.Rows, Summary: h.Summary}
	for _, c := range h.Columns {
		of.Columns = append(of.Columns, Column{ResultColumn: c})
	}
	if err := r.rows(of); err != nil {
		return nil, fmt.Errorf("read result of stage %.64q: %w", h.Stage, err)
	}
	return of, nil
}

func (h *ResultHead) check() error {
	n := len(h.Columns)
	switch {
	case !plainFile.MatchString(h.File):
		return fmt.Errorf("%.64q is no name of a file", h.File)
	case n > MaxResultColumns:
		return fmt.Errorf("%d columns, up to %d are taken", n, MaxResultColumns)
	case h.Rows < 0 || n == 0 && h.Rows > 0 || n > 0 && h.Rows > MaxResultCells/n:
		return fmt.Errorf("%d rows of %d columns; up to %d cells are taken", h.Rows, n, MaxResultCells)
	}
	for i, c := range h.Columns {
		if c.Type != Integer && c.Type != Number && c.Type != Text || c.Name == "" {
			return fmt.Errorf("a column %.64q of type %.64q", c.Name, c.Type)
		}
		if slices.ContainsFunc(h.Columns[:i], func(o ResultColumn) bool { return o.Name == c.Name }) {
			return fmt.Errorf("two columns %.64q", c.Name)
		}
	}
	return nil
}

func (r *Results) rows(of *Result) error {
	for row := range of.Rows {
		line, err := r.line()
		if err != nil {
			return fmt.Errorf("row %d of %d: %w", row, of.Rows, err)
		}
		rest, more := string(line), true
		for i := range of.Columns {
			cell := rest
			if cell, rest, more = strings.Cut(rest, ","); more == (i == len(of.Columns)-1) {
				return fmt.Errorf("row %d has not %d cells", row, len(of.Columns))
			}
			if err := of.Columns[i].add(cell); err != nil {
				return fmt.Errorf("row %d: column %.64q: %w", row, of.Columns[i].Name, err)
			}
		}
	}
	return nil
}

// add takes the cell of the next row.
func (c *Column) add(cell string) (err error) {
	row, missing := max(len(c.Integers), len(c.Numbers), len(c.Texts)), cell == "" && c.Type != Text
	if missing && c.Missing == nil {
		c.Missing = make([]bool, row)
	}
	if c.Missing != nil {
		c.Missing = append(c.Missing, missing)
	}
	switch c.Type {
	case Integer:
		var n int64
		if !missing {
			n, err = strconv.ParseInt(cell, 10, 64)
		}
		c.Integers = append(c.Integers, n)
	case Number:
		x := math.NaN()
		if !missing {
			x, err = strconv.ParseFloat(cell, 64)
		}
		c.Numbers = append(c.Numbers, x)
	default:
		c.Texts = append(c.Texts, cell)
	}
	return err
}

// About says where a result is from, as one line of text.
func (r *Results) About(of *Result) string {
	from := "measured"
	if r.Simulated {
		from = "SIMULATED: computed and not measured"
	}
	return clean(fmt.Sprintf("%s; stage %s of kind %s; run %s; recipe %s", from, of.Stage, of.Kind, r.Run, r.Recipe))
}

// WriteCSV writes the table of a result under one line that says where it is from.
func (r *Results) WriteCSV(w io.Writer, of *Result) error {
	if _, err := fmt.Fprintf(w, "# %s\n", r.About(of)); err != nil {
		return err
	}
	out, row := csv.NewWriter(w), make([]string, len(of.Columns))
	for i, c := range of.Columns {
		row[i] = c.Name
	}
	err := out.Write(row)
	for n := 0; err == nil && n < of.Rows; n++ {
		for i := range of.Columns {
			row[i] = of.Columns[i].Cell(n)
		}
		err = out.Write(row)
	}
	out.Flush()
	return errors.Join(err, out.Error())
}

// Write writes the file of a result in a format, makes it durable, gives it its name
// and tells of it.
func (r *Results) Write(of *Result, format string, write func(io.Writer) error) error {
	name := of.File + "." + format
	under := filepath.Join(r.dir, "."+name+".part")
	file, err := os.Create(under)
	if err != nil {
		return err
	}
	h := sha256.New()
	buffer := bufio.NewWriterSize(io.MultiWriter(file, h), 256<<10)
	if err = write(buffer); err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	size, wrong := file.Seek(0, io.SeekEnd)
	err = errors.Join(err, wrong, file.Close())
	if err == nil {
		err = os.Rename(under, filepath.Join(r.dir, name))
	}
	if err == nil {
		err = syncDir(r.dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.RemoveAll(under))
	}
	r.answer.Files = append(r.answer.Files, ResultFile{Stage: of.Stage, Path: name, Size: size, SHA256: hex.EncodeToString(h.Sum(nil))})
	return nil
}

// Sent tells of messages with a result that somebody else has acknowledged.
func (r *Results) Sent(messages uint64) { r.answer.Messages += messages }

// WriteTables writes a file for each result that has a table.
func (r *Results) WriteTables(format string, write func(io.Writer, *Result) error) error {
	for {
		of, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(of.Columns) == 0:
			r.Without(of)
			continue
		}
		if err := r.Write(of, format, func(w io.Writer) error { return write(w, of) }); err != nil {
			return err
		}
	}
}

// Without tells that nothing was written of a stage, as it has no table.
func (r *Results) Without(of *Result) { r.answer.Without = append(r.answer.Without, of.Stage) }
