package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/invopop/jsonschema"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

const (
	simulated = "sim" // the address of the simulator in this plugin

	defaultSCPIPort   = 5555
	defaultDLT        = "127.0.0.1:6060"
	defaultStreamPort = 4242

	// minRecord keeps records long against the delays of a PC, because the
	// time at which a record arrives helps to tell its number.
	minRecord = 200 * quantity.Time(1e9)
	maxRecord = 3600 * quantity.Time(1e12)

	minTimeout = 100 * quantity.Time(1e9)
	maxTimeout = 60 * quantity.Time(1e12)
)

// config is what a recipe says about one Time Controller.
type config struct {
	Address    string        `json:"address" jsonschema:"required,description=Host or host:port of the Time Controller; sim starts a simulated one"`
	SCPIPort   int           `json:"scpi_port" jsonschema:"minimum=1,maximum=65535,description=Port of the Time Controller's commands; a port in address comes first"`
	DLT        string        `json:"dlt" jsonschema:"description=host:port of the DataLinkTarget service that receives this controller's tags"`
	StreamPort int           `json:"stream_port" jsonschema:"minimum=0,maximum=65532,description=Port at which the service hands over the tags of input 1; the other inputs follow. 0 takes free ports"`
	Record     record        `json:"record" jsonschema:"description=Tags arrive once a record: its period of at least 200 ms or single for one record over the whole acquisition"`
	Resolution string        `json:"resolution" jsonschema:"enum=HIRES,enum=LOWRES,enum=,description=Resolution mode to set; empty leaves the device as it is"`
	Force      bool          `json:"force" jsonschema:"description=Take the Time Controller over from whoever is recording with it"`
	Timeout    quantity.Time `json:"timeout" jsonschema:"description=How long to wait for one reply"`
}

func defaults() config {
	return config{
		SCPIPort:   defaultSCPIPort,
		DLT:        defaultDLT,
		StreamPort: defaultStreamPort,
		Record:     record{Period: minRecord},
		Timeout:    2 * quantity.Time(1e12),
	}
}

// record is the period of the records of an acquisition, or one record for all
// of it. Its text is a time or the word single.
type record struct {
	Single bool
	Period quantity.Time
}

const single = "single"

func (r record) MarshalJSON() ([]byte, error) {
	if r.Single {
		return json.Marshal(single)
	}
	return json.Marshal(r.Period)
}

func (r *record) UnmarshalJSON(text []byte) error {
	var word string
	if json.Unmarshal(text, &word) == nil && word == single {
		*r = record{Single: true}
		return nil
	}
	var period quantity.Time
	if err := json.Unmarshal(text, &period); err != nil {
		return err
	}
	*r = record{Period: period}
	return nil
}

// JSONSchema describes the text of a record.
func (record) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		AnyOf: []*jsonschema.Schema{
			{Const: single},
			quantity.Time(0).JSONSchema(),
		},
	}
}

// endpoint is a checked config: where everything is.
type endpoint struct {
	host string // of the Time Controller, as the DataLinkTarget service must call it
	scpi string // host:port
	dlt  string // host:port
}

var _ sdk.DriverChecker = config{}

// Check finds all mistakes that a schema cannot.
func (c config) Check(a sdk.Acquisition) []*sdk.Failure {
	found := append(c.checkTimes(), checkChannels(a.Channels)...)
	if _, wrong := c.where(); wrong != nil {
		found = append(found, wrong)
	}
	return found
}

// check is Check of the configuration alone: where everything is, or the first mistake.
func (c config) check() (endpoint, error) {
	for _, wrong := range c.checkTimes() {
		return endpoint{}, wrong
	}
	where, wrong := c.where()
	if wrong != nil {
		return endpoint{}, wrong
	}
	return where, nil
}

// where takes the addresses apart.
func (c config) where() (endpoint, *sdk.Failure) {
	if c.Address == simulated {
		return endpoint{}, nil
	}
	host, port := c.Address, strconv.Itoa(c.SCPIPort)
	if h, p, err := net.SplitHostPort(c.Address); err == nil {
		host, port = h, p
	}
	host = strings.Trim(host, "[]") // an IPv6 address without a port
	if !isHost(host) || !isPort(port) {
		return endpoint{}, instrument.Mistake("address", fmt.Sprintf("%q is not the address of a Time Controller", c.Address),
			"write a host, host:port, or sim; controllers leave the factory with a 169.254.x.y address, shown on their display")
	}
	dltHost, dltPort, err := net.SplitHostPort(c.DLT)
	if err != nil || !isHost(dltHost) || !isPort(dltPort) {
		return endpoint{}, instrument.Mistake("dlt", fmt.Sprintf("%q is not the address of a DataLinkTarget service", c.DLT),
			"write host:port, such as "+defaultDLT)
	}
	return endpoint{host: host, scpi: net.JoinHostPort(host, port), dlt: c.DLT}, nil
}

func (c config) checkTimes() (found []*sdk.Failure) {
	if !c.Record.Single && (c.Record.Period < minRecord || c.Record.Period > maxRecord) {
		found = append(found, instrument.Mistake("record", fmt.Sprintf("records of %v cannot be numbered", c.Record.Period),
			fmt.Sprintf("write %v to %v, or %s", minRecord, maxRecord, single)))
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		found = append(found, instrument.Mistake("timeout", fmt.Sprintf("a reply is not waited for as long as %v", c.Timeout),
			fmt.Sprintf("write %v to %v", minTimeout, maxTimeout)))
	}
	switch c.Resolution {
	case "", "HIRES", "LOWRES":
	default:
		found = append(found, instrument.Mistake("resolution", fmt.Sprintf("%q is no resolution mode", c.Resolution), "write HIRES or LOWRES, or leave it out"))
	}
	if c.StreamPort < 0 || c.StreamPort > 65536-inputs {
		found = append(found, instrument.Mistake("stream_port", fmt.Sprintf("port %d leaves no room for %d streams", c.StreamPort, inputs), "write a port up to 65532, or 0 for free ones"))
	}
	return found
}

// isHost accepts what may stand in a host name or an address. Host names end
// up in commands of the DataLinkTarget service, so nothing else may pass.
func isHost(s string) bool {
	return s != "" && len(s) <= 253 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-' || r == ':' || r == '%' || r == '_')
	}) < 0 && s[0] != '-'
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// simulator is a simulated Time Controller with its DataLinkTarget service, in
// this process. The driver talks to it over loopback as to a real one.
type simulator struct {
	endpoint
	controller *idq.Controller
	startDelay time.Duration
	cancel     context.CancelFunc
	done       chan error
}

// simulation is what a recipe may say of the simulated controllers of a node.
type simulation struct {
	sky.Controller
	PulseHeight quantity.Voltage `json:"pulse_height,omitempty" jsonschema:"description=Mean height of the detectors' pulses: only those that cross the threshold of their input are seen; all are where it is left out"`
	PulseSpread quantity.Voltage `json:"pulse_spread,omitempty" jsonschema:"description=Standard deviation of that from pulse to pulse"`
	StartWander quantity.Time    `json:"start_wander,omitempty" jsonschema:"description=Change of start_delay from one start to the next (rms): it walks at random"`
}

// maxStartWander keeps what start_delay walks to within what a start may take.
const maxStartWander = quantity.Millisecond

// Check finds what the schema of the settings does not tell.
func (s simulation) Check(a sdk.Acquisition) (found []*sdk.Failure) {
	for _, wrong := range s.OutOfRange() {
		found = append(found, instrument.Mistake(wrong.Key, fmt.Sprintf("%v is out of range", wrong.Value), fmt.Sprintf("write %v to %v", wrong.Low, wrong.High)))
	}
	if w := s.StartWander; w < 0 || w > maxStartWander {
		found = append(found, instrument.Mistake("start_wander", fmt.Sprintf("%v is out of range", w), fmt.Sprintf("write 0 s to %v", maxStartWander)))
	}
	if v := s.PulseHeight; v < 0 || v > idq.MaxPulse {
		found = append(found, instrument.Mistake("pulse_height", fmt.Sprintf("%v is out of range", v), fmt.Sprintf("write 0 V to %v", idq.MaxPulse)))
	}
	if v := s.PulseSpread; v < 0 || v > idq.MaxPulse {
		found = append(found, instrument.Mistake("pulse_spread", fmt.Sprintf("%v is out of range", v), fmt.Sprintf("write 0 V to %v", idq.MaxPulse)))
	} else if v > 0 && s.PulseHeight == 0 {
		found = append(found, instrument.Mistake("pulse_spread", "pulses without a height have no spread", "add pulse_height"))
	}
	if s.StartWander != 0 && a.Method == sdk.Hardware {
		found = append(found, instrument.Mistake("start_wander", "a START pulse starts the controllers, and no command takes its time", "remove it"))
	}
	if s.Replay != nil {
		for input, channel := range s.Replay.Channels {
			if channel < 0 || channel > math.MaxUint16 {
				found = append(found, instrument.Mistake(fmt.Sprintf("replay.channels.%d", input), fmt.Sprintf("%d is out of range", channel), "write 0 to 65535"))
			}
		}
	}
	for i, fault := range s.Faults {
		if err := idq.Faults.Check([]string{fault}); err != nil {
			found = append(found, instrument.Mistake(fmt.Sprintf("faults.%d", i), err.Error(), "leave it out to simulate a controller that behaves"))
		}
	}
	switch {
	case a.Method == sdk.Hardware && s.StartLine == "":
		found = append(found, instrument.Mistake("", `missing key "start_line": trigger.method: hardware starts simulated controllers by a START line`,
			"add start_line: 127.0.0.1:7001, the same at each node"))
	case s.StartLine != "" && !isLine(s.StartLine):
		found = append(found, instrument.Mistake("start_line", fmt.Sprintf("%q is not host:port", s.StartLine), "write it like 127.0.0.1:7001"))
	case a.Method == sdk.Scheduled && s.StartLine != "":
		found = append(found, instrument.Mistake("start_line", "nothing uses a START line with trigger.method: scheduled", "write method: hardware, or remove it"))
	}
	return found
}

func isLine(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && isHost(host) && isPort(port)
}

// ownProcessors gives the simulated controllers of this process processors, as far as Go's
// scheduler counts them: a thread of theirs that the kernel wakes is not to wait for one.
var ownProcessors = sync.OnceFunc(func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2) })

// startSimulator starts a simulated controller on free ports of loopback.
func startSimulator(env sdk.Env) (*simulator, error) {
	var s simulation
	light, err := env.Simulated(&s)
	if err != nil {
		return nil, err
	}
	if len(env.Simulation) == 0 {
		env.Log.Warn("the simulated controller is in the dark: the recipe has no simulate section")
	}
	controller, err := idq.New(idq.Config{Sky: sky.Settings(light), Controller: s.Controller, StartWander: s.StartWander, Pulses: idq.Pulses{Height: s.PulseHeight, Spread: s.PulseSpread}, Serial: serial(env.Instance), Priority: idq.Prompt, Log: env.Log})
	if err != nil {
		return nil, &sdk.Failure{Code: "bad-config", Field: "simulate", Message: err.Error(),
			Hint: "correct the recipe's simulate section"}
	}
	ownProcessors()
	ctx, cancel := context.WithCancel(context.Background())
	sim := &simulator{controller: controller, startDelay: s.StartDelay.Duration(), cancel: cancel, done: make(chan error, 1)}
	sim.scpi, sim.dlt = controller.SCPIAddr(), controller.DLTAddr()
	if sim.host, _, err = net.SplitHostPort(sim.scpi); err != nil {
		cancel()
		return nil, err
	}
	go func() { sim.done <- controller.Run(ctx) }()
	return sim, nil
}

// serial makes a serial number of the instance's name, so that each simulated
// controller of an experiment has its own noise.
func serial(instance string) string {
	if instance == "" {
		return "SIMULATED"
	}
	return "SIMULATED-" + instance
}

func (s *simulator) stop() error {
	s.cancel()
	return <-s.done
}
