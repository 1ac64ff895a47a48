package sdk_test

import (
	"encoding/json"
	"fmt"
	"time"

	"tsrun/sdk"
)

// nowhere is a core that takes everything and keeps nothing.
type nowhere struct{}

func (nowhere) Send(time.Duration, ...[]byte) error { return nil }
func (nowhere) Close() error                        { return nil }

// A driver sends what it has, says what it has lost, and marks how far it has
// come. Tags that go back in time are refused.
func ExampleStream() {
	out := sdk.NewStream(nowhere{}, sdk.Acquisition{Channels: []sdk.Channel{{Stream: 1, Name: "signal"}}}) // Acquire is given one
	_ = out.Send(1, []uint64{10, 25, 25})
	out.Lost(1, 2, "the device's memory was full")
	_ = out.Mark(1, 100) // nothing comes before 100 ps any more
	fmt.Println(out.Send(1, []uint64{99}))
	counts, _ := out.Finish() // done by the SDK after Acquire
	fmt.Println(counts[0].Tags, "tags,", counts[0].Lost, "lost, until", counts[0].Until, "ps")
	// Output:
	// send: tag 1 of 1 on channel "signal" (stream 1), at 99 ps, is before 100 ps, which a tag or a mark has reached already; tags of a channel never decrease, from one call to the next as well: sort them before they are sent
	// 3 tags, 2 lost, until 100 ps
}

// A failure tells its reader what to do, and scripts what it is.
func ExampleFailure() {
	var err error = &sdk.Failure{
		Code:    "device-timeout",
		Message: "open: 192.168.1.20 has not answered for 2 s",
		Hint:    "is it switched on, and is the address right?",
		Field:   "address",
	}
	fmt.Println(err)
	// Output: open: 192.168.1.20 has not answered for 2 s; is it switched on, and is the address right?
}

// cooled is a driver with something to say after an acquisition.
type cooled struct{ sdk.Driver }

func (cooled) Report() any {
	return struct {
		TemperatureMK int64 `json:"temperature_mk"`
	}{4200}
}

// What Report returns stands in the manifest as JSON, beside the device.
func ExampleReporter() {
	var driver sdk.Driver = cooled{}
	text, _ := json.Marshal(driver.(sdk.Reporter).Report())
	fmt.Println(string(text))
	// Output: {"temperature_mk":4200}
}
