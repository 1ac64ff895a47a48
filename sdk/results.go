package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ResultsVersion is the version of what `PLUGIN results` reads and answers.
const ResultsVersion = 1

// What results have at most; of a stage that found more, tsrun gives nothing.
const (
	MaxResults       = 1000
	MaxResultColumns = 1000
	MaxResultCells   = 1 << 25  // of one table
	MaxResultLine    = 16 << 20 // bytes
)

// ResultsRequest is the first line that `PLUGIN results` reads. A line with a
// [ResultHead] for each result follows it, and behind each of these its rows: a line
// each, cells separated by commas, an empty one has no value. Files are written into
// the working directory.
type ResultsRequest struct {
	Version   int             `json:"version"`
	Sink      string          `json:"sink"` // the offer's name
	Config    json.RawMessage `json:"config"`
	Run       string          `json:"run"`              // 32 hexadecimal digits
	Recipe    string          `json:"recipe,omitempty"` // SHA-256 of its file
	Simulated bool            `json:"simulated"`        // a controller of the run is
	Results   int             `json:"results"`
}

// ResultHead says what one stage found. One that has no table has no columns.
type ResultHead struct {
	Stage   string          `json:"stage"` // its name in the recipe
	Kind    string          `json:"kind"`
	File    string          `json:"file"` // what its file is to be called, before the dot
	Columns []ResultColumn  `json:"columns"`
	Rows    int             `json:"rows"`
	Summary json.RawMessage `json:"summary,omitempty"` // what the run's manifest says of it
}

// ResultColumn describes a column of a table.
type ResultColumn struct {
	Name string     `json:"name"`
	Unit string     `json:"unit,omitempty"` // ps, ppb; "": the name says what it is, or it is a count
	Type ResultType `json:"type"`
}

// ResultType is what the cells of a column are. It is the narrowest that takes all of them.
type ResultType string

const (
	Integer ResultType = "integer" // 64 bits with a sign
	Number  ResultType = "number"  // 64-bit floating point
	Text    ResultType = "text"
)

// ResultsAnswer is what `PLUGIN results` prints when all is done. One that fails ends
// with another exit code than 0, and says why in a line on standard error.
type ResultsAnswer struct {
	Version  int          `json:"version"`
	Files    []ResultFile `json:"files"`
	Messages uint64       `json:"messages,omitempty"` // that somebody else has acknowledged
	Without  []string     `json:"without,omitempty"`  // stages of which nothing was written
}

// ResultFile is a file of a result that is whole and durable.
type ResultFile struct {
	Stage  string `json:"stage"`
	Path   string `json:"path"` // the File of its head, a dot and a format: "pairs.npz"
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal digits
}

// TakenOffer says that a sink takes what stages found, or the merged tags, and how it is
// configured for that.
type TakenOffer struct {
	Schema   json.RawMessage `json:"schema"`
	Defaults json.RawMessage `json:"defaults"`
	Checks   bool            `json:"checks,omitempty"` // as that of an [Offer]
}

// resultsTaker is the part of a sink that takes results.
type resultsTaker struct {
	offer func() (TakenOffer, error)
	check func(json.RawMessage, Recording) ([]*Failure, error) // nil: its configuration has none
	write func(context.Context, *Results, json.RawMessage) error
}

// TakingResults has a sink take what the stages of a run found, too: a recipe then may
// say `takes: results`, or name stages. The configuration for that is a C, as in
// [NewSink]. Write is called in a process of its own at the master, when the stages are
// done: it takes each result by [Results.Next] and writes it by [Results.Write].
func TakingResults[C any](t SinkType, defaults C, write func(context.Context, *Results, C) error) SinkType {
	check := checkOf[C, Recording](defaults)
	t.results = &resultsTaker{
		check: check,
		offer: func() (TakenOffer, error) {
			o, err := describeConfig(t.name, defaults)
			return TakenOffer{Schema: o.Schema, Defaults: o.Defaults, Checks: check != nil}, err
		},
		write: func(ctx context.Context, r *Results, config json.RawMessage) error {
			c, err := decodeConfig(config, defaults)
			if err != nil {
				return err
			}
			return write(ctx, r, c)
		},
	}
	return t
}

// writeResults has the sink that a request names write what stages found, into the
// working directory.
func (p Plugin) writeResults(in io.Reader) (ResultsAnswer, error) {
	r, request, err := readResults(in, ".")
	if err != nil {
		return ResultsAnswer{}, err
	}
	for _, s := range p.Sinks {
		if s.name != request.Sink || s.results == nil {
			continue
		}
		if err := s.results.write(context.Background(), r, request.Config); err != nil {
			return ResultsAnswer{}, err
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			return ResultsAnswer{}, errors.Join(errors.New("not all results were taken"), err)
		}
		return r.answer, nil
	}
	return ResultsAnswer{}, fmt.Errorf("no sink %.64q takes results", request.Sink)
}
