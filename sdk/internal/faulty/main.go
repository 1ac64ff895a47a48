// Command faulty is a plugin that breaks the plugin protocol where it is told to,
// so that the checks of sdk/sdktest can be seen to fail. It stands on the protocol
// alone: the SDK would not let it.
//
// It is called faulty-driver or faulty-sink. The file NAME.fault beside it holds
// the name of a fault, which is that of the check that should fail, or more of
// them for one check: "shots", "shots:end". Without the file it is good.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

// protocol is the version that it speaks; one of another release is linked with
// that of its own. Empty: that of this one.
var protocol string

// speaks is protocol as a number.
func speaks() int {
	if n, err := strconv.Atoi(protocol); err == nil {
		return n
	}
	return sdk.ProtocolVersion
}

var (
	name  = filepath.Base(os.Args[0])
	fault string
	state atomic.Value // of the driver or sink: the name that checks have for it
)

// has tells whether a fault is switched on.
func has(of string) bool { return fault == of }

func main() {
	text, _ := os.ReadFile(os.Args[0] + ".fault") // none: it is good
	fault = strings.TrimSpace(string(text))
	state.Store("")
	switch {
	case len(os.Args) > 1 && os.Args[1] == "--describe":
		_ = json.NewEncoder(os.Stdout).Encode(description())
		return
	case len(os.Args) > 1 && os.Args[1] == "--check":
		check()
		return
	}
	if has("handshake:noise") {
		fmt.Println("vendor library 4.2 loaded")
	}
	state.Store("handshake")
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		for range signals {
			leave()
		}
	}()
	if has("handshake:child") {
		leaveChild()
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: sdk.CookieKey, MagicCookieValue: sdk.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{speaks(): {"tsrun": services{}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: io.Discard}),
	})
}

// leave exits where the host is gone, but for the state in which it does not.
func leave() {
	at := state.Load().(string)
	if has("host-gone-"+at) || has("host-killed-"+at) || at == "handshake" && has("host-killed-connected") {
		return
	}
	os.Exit(0)
}

// leaveChild starts a process that outlives this one.
func leaveChild() {
	self, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{})
	if err == nil {
		_ = self.Release()
	}
}

func description() sdk.Description {
	schema := `{"type":"object","additionalProperties":false,"properties":{"rate":{"type":"integer","description":"tags per second"}}}`
	if has("schema:open") {
		schema = strings.Replace(schema, "false", "true", 1)
	}
	if has("schema:silent") {
		schema = strings.Replace(schema, `,"description":"tags per second"`, "", 1)
	}
	d := sdk.Description{Name: name, Version: "1", Summary: "Breaks the protocol.", Protocol: speaks()}
	o := sdk.Offer{Name: name, Schema: json.RawMessage(schema), Defaults: json.RawMessage(`{"rate":1000000}`), Checks: true}
	if strings.HasSuffix(name, "sink") {
		o.Keeps = sdk.AllTags
		d.Sinks = []sdk.Offer{o}
	} else {
		o.Simulation = &sdk.Simulator{Schema: json.RawMessage(`{"type":"object"}`)}
		d.Drivers = []sdk.Offer{o}
	}
	return d
}

func check() {
	var r sdk.CheckRequest
	if json.NewDecoder(os.Stdin).Decode(&r) != nil {
		os.Exit(1)
	}
	mistakes := "[]"
	if has("config-check") {
		mistakes = `[{"field":"rate","message":"it is Sunday"}]`
	}
	fmt.Printf(`{"mistakes":%s}`, mistakes)
}

// refuse is an error as a plugin answers with one.
func refuse(message string) error {
	if has("order-of-calls:bare") {
		return errors.New(message)
	}
	s, err := status.New(codes.Unknown, message).WithDetails(&pluginpb.Failure{Message: message})
	if err != nil {
		return err
	}
	return s.Err()
}

// configure opens a driver or sink, once, with what its schema takes.
func configure(config []byte) error {
	if state.Load() == "open" && !has("order-of-calls:configure") {
		return refuse("it is open")
	}
	var keys map[string]any
	if err := json.Unmarshal(config, &keys); err != nil && !has("config-mistakes") {
		return refuse("the configuration is no object")
	}
	for key, value := range keys {
		if _, number := value.(float64); (key != "rate" || !number) && !has("config-mistakes") {
			return refuse("no key " + key)
		}
	}
	state.Store("open")
	return nil
}

// relay passes events on until the driver or sink is closed.
func relay[E any](events <-chan *E, closed <-chan struct{}, out grpc.ServerStreamingServer[E]) error {
	for {
		select {
		case e := <-events:
			if err := out.Send(e); err != nil {
				return err
			}
		case <-closed:
			for len(events) > 0 {
				_ = out.Send(<-events) // nobody may listen any more
			}
			return nil
		case <-out.Context().Done():
			return nil
		}
	}
}

// closed ends what relays events, and then the process.
func closed(events chan struct{}) (*pluginpb.CloseResponse, error) {
	close(events)
	time.AfterFunc(time.Second, func() { os.Exit(0) })
	return &pluginpb.CloseResponse{}, nil
}

type services struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (services) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}

func (services) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	pluginpb.RegisterPluginServer(g, plugin{})
	pluginpb.RegisterDriverServer(g, newDriver())
	pluginpb.RegisterSinkServer(g, newSink())
	return nil
}

// plugin answers what every plugin is asked.
type plugin struct {
	pluginpb.UnimplementedPluginServer
}

func (plugin) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	d := description()
	if has("describe") {
		d.Version = "2"
	}
	r := &pluginpb.DescribeResponse{Name: d.Name, Version: d.Version, Summary: d.Summary}
	for _, o := range d.Drivers {
		r.Drivers = append(r.Drivers, &pluginpb.Offer{Name: o.Name, Schema: o.Schema, Defaults: o.Defaults})
	}
	for _, o := range d.Sinks {
		r.Sinks = append(r.Sinks, &pluginpb.Offer{Name: o.Name, Schema: o.Schema, Defaults: o.Defaults})
	}
	return r, nil
}

func (plugin) Lease(_ *pluginpb.LeaseRequest, beats grpc.ServerStreamingServer[pluginpb.LeaseBeat]) error {
	state.Store("leased")
	for {
		if err := beats.Send(&pluginpb.LeaseBeat{}); err != nil {
			leave()
			return err
		}
		pause := 300 * time.Millisecond
		if has("handshake:beats") {
			pause = time.Hour
		}
		select {
		case <-time.After(pause):
		case <-beats.Context().Done():
			leave()
			return nil
		}
	}
}
