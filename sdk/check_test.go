package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

type pickyConfig struct {
	Level int `json:"level" jsonschema:"description=of something"`
}

func (c pickyConfig) Check(a Acquisition) (found []*Failure) {
	if c.Level > 9 {
		found = append(found, &Failure{Field: "level", Message: fmt.Sprintf("level %d is too high", c.Level), Hint: "write 0 to 9"})
	}
	for _, ch := range a.Channels {
		if ch.Input > 2 {
			found = append(found, &Failure{Field: "channels." + ch.Name + ".on", Message: "no such input"})
		}
	}
	return found
}

var picky = Plugin{Name: "tc-picky",
	Drivers: []DriverType{NewDriver("tc-picky", pickyConfig{Level: 1}, func(context.Context, Env, pickyConfig) (Driver, error) { return nil, nil })},
	Sinks:   []SinkType{NewSink("plain", struct{}{}, func(context.Context, Env, struct{}) (Sink, error) { return nil, nil })},
}

// A check is answered for the kind that has one, which its description says.
func TestCheck(t *testing.T) {
	d, err := picky.Describe()
	if err != nil || !d.Drivers[0].Checks || d.Sinks[0].Checks {
		t.Errorf("description %+v, %v", d, err)
	}
	for request, want := range map[string]string{
		`{"driver":"tc-picky","config":{"level":12},"channels":[{"name":"a","input":1},{"name":"b","input":3}]}`: `level,channels.b.on`,
		`{"driver":"tc-picky","config":{}}`:           ``,
		`{"driver":"tc-picky"}`:                       ``,
		`{"driver":"tc-picky","config":{"levle":12}}`: `error unknown field "levle"`,
		`{"sink":"plain","config":{}}`:                `error no driver or sink "plain" has a check`,
		`{}`:                                          `error no driver or sink "" has a check`,
		`nonsense`:                                    `error read request`,
		strings.Repeat(" ", maxCheckRequest+1):        `error longer than`,
	} {
		var out, complaints bytes.Buffer
		code := run(picky, []string{"--check"}, strings.NewReader(request), &out, &complaints)
		if what, ok := strings.CutPrefix(want, "error "); ok {
			if code != 1 || out.Len() > 0 || !strings.Contains(complaints.String(), what) {
				t.Errorf("%.80s: code %d, %s%s", request, code, out.String(), complaints.String())
			}
			continue
		}
		var answer CheckAnswer
		err := json.Unmarshal(out.Bytes(), &answer)
		fields := []string{}
		for _, m := range answer.Mistakes {
			fields = append(fields, m.Field)
		}
		if got := strings.Join(fields, ","); code != 0 || err != nil || got != want || answer.Mistakes == nil {
			t.Errorf("%s: code %d, %v, mistakes in %q, want %q", request, code, err, got, want)
		}
	}
}
