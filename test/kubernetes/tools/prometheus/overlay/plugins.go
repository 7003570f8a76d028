// In place of Prometheus' own list of service discoveries (build-tools lays it over): the only one that is used here.
// The others bring the SDKs of twenty clouds along, most of the time that the build would take.
package plugins

import _ "github.com/prometheus/prometheus/discovery/kubernetes"
