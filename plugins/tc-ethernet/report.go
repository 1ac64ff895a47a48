package main

import (
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
)

// maxReported bounds the texts of the service kept for one channel.
const (
	maxReported  = 16
	maxErrorText = 200 // bytes of each
)

// report is what the manifest keeps of an acquisition.
type report struct {
	Address    string          `json:"address"`   // host:port of the Time Controller
	DLT        string          `json:"dlt"`       // host:port of the DataLinkTarget service
	Records    int             `json:"records"`   // asked for; 0: until stopped
	Period     quantity.Time   `json:"period"`    // of the records
	Width      quantity.Time   `json:"width"`     // of a record
	DeadTime   quantity.Time   `json:"dead_time"` // between two records, in which no tag is taken
	Stopped    bool            `json:"stopped"`   // before its end
	Stage      string          `json:"stage"`     // of the records, in the end
	Channels   []channelReport `json:"channels"`
	Settings   []settingReport `json:"settings"`             // of the device, in the order in which they were made
	Simulation *idq.Truth      `json:"simulation,omitempty"` // SIMULATED: what really happened
}

// settingReport is one setting of the device: as it was found, as it was while
// tags were recorded, and as it was left, each in the device's own words. What a
// device does not tell is empty.
type settingReport struct {
	Setting string `json:"setting"`
	Before  string `json:"before"`
	During  string `json:"during"`
	After   string `json:"after"`
}

// channelReport is the part about one channel.
type channelReport struct {
	Channel       string   `json:"channel"`
	Input         int      `json:"input"`
	Records       int      `json:"records"`        // counted by the service
	Counted       uint64   `json:"counted"`        // tags counted by the service
	Tags          uint64   `json:"tags"`           // sent on
	Messages      uint64   `json:"messages"`       // of the service
	Ambiguous     uint64   `json:"ambiguous"`      // messages of which no record could be told
	AmbiguousTags uint64   `json:"ambiguous_tags"` // in them; lost
	OutOfOrder    uint64   `json:"out_of_order"`   // tags that came after later ones of another record; lost
	Beyond        uint64   `json:"beyond"`         // tags far behind the end of their record; lost
	Sorted        uint64   `json:"sorted"`         // messages whose tags had to be put in order
	ClockJumps    uint64   `json:"clock_jumps"`    // times at which records began to end too early: the controller's clock jumped ahead
	DeviceErrors  int64    `json:"device_errors"`  // RAWn:ERRORS?
	ServiceErrors []string `json:"service_errors,omitempty"`
}

func (w *watch) makeReport() *report {
	r := &report{
		Address:  w.endpoint.scpi,
		DLT:      w.endpoint.dlt,
		Records:  w.plan.records,
		Period:   quantity.Time(w.period),
		Width:    quantity.Time(w.width),
		DeadTime: quantity.Time(w.period - w.width),
		Stopped:  !w.stoppedAt.IsZero(),
		Stage:    w.stage,
	}
	for _, a := range w.applied {
		r.Settings = append(r.Settings, settingReport{Setting: a.header, Before: a.before, During: a.during, After: a.after})
	}
	for _, l := range w.lanes {
		c := l.report
		c.Records, c.Counted = l.last.records, l.last.tags
		c.DeviceErrors, c.ServiceErrors = l.rawErrors, l.serviceErrors
		r.Channels = append(r.Channels, c)
	}
	return r
}
