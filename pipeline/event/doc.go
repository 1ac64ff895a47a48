// Package event is what is told of a run while it goes on: each [Event] is data
// that a terminal shows or that is written as JSON ([EventSchema]). [Feed] takes
// them without ever holding up the run, however slow their reader is.
package event
