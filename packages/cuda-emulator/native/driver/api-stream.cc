// Streams, events and graphs.
#include <chrono>

#include "context.h"

using namespace tutti_emulator;

namespace {

constexpr unsigned disableTiming = 2;

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

thread_local std::weak_ptr<Capture> ownCapture;

/** Streams may wait for events of other devices. */
std::shared_ptr<Event> eventOfAny(Event* handle) {
  for (int index = 0; index < deviceCount(); index++) {
    Device& device = deviceAt(index);
    const std::lock_guard lock(device.mutex);
    if (device.context == nullptr) continue;
    if (std::shared_ptr<Event> event = device.context->events.find(handle)) return event;
  }
  throw Failure{invalidHandle};
}

void waitFor(Context& context, Stream& stream, std::uint64_t sequence) {
  stream.wait(sequence);
  if (context.error() != success) throw Failure{context.error()};
}

}  // namespace

namespace tutti_emulator {

void invalidateCapture(Stream& stream) {
  stream.capture->invalidated = true;
  throw Failure{captureUnsupported};
}

void forbidInCapture() {
  const std::shared_ptr<Capture> capture = ownCapture.lock();
  if (capture == nullptr) return;
  capture->invalidated = true;
  throw Failure{captureUnsupported};
}

}  // namespace tutti_emulator

TUTTI_API cuStreamCreate(Stream** stream, unsigned flags) {
  return guarded([&] {
    Context& context = current();
    if (flags > 1) throw Failure{invalidValue};
    if (faults().strikes("create")) throw Failure{outOfMemory};
    *stream = context.streams.add(context.makeStream());
  });
}

TUTTI_API cuStreamDestroy_v2(Stream* stream) {
  return guarded([&] { current().streams.take(stream)->close(); });
}

TUTTI_API cuStreamSynchronize(Stream* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.stream(handle);
    if (stream->capture != nullptr) invalidateCapture(*stream);
    waitFor(context, *stream, stream->last());
  });
}

TUTTI_API cuStreamQuery(Stream* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.stream(handle);
    if (stream->capture != nullptr) invalidateCapture(*stream);
    if (!stream->passed(stream->last())) throw Failure{notReady};
    if (context.error() != success) throw Failure{context.error()};
  });
}

TUTTI_API cuStreamWaitEvent(Stream* handle, Event* waited, unsigned) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.stream(handle);
    const std::shared_ptr<Event> event = eventOfAny(waited);
    if (event->capture != nullptr) {
      // The stream joins what is captured: in one list, which is an order that any graph allows.
      if (stream->capture != nullptr && stream->capture != event->capture) throw Failure{captureIsolation};
      stream->capture = event->capture;
      return;
    }
    if (stream->capture != nullptr) {
      stream->capture->invalidated = true;
      throw Failure{captureIsolation};
    }
    const std::shared_ptr<Record> record = event->record;
    if (record == nullptr || record->stream == stream) return;
    stream->enqueue({[record](Stream&) { record->stream->wait(record->sequence); }, true});
  });
}

TUTTI_API cuEventCreate(Event** event, unsigned flags) {
  return guarded([&] {
    Context& context = current();
    if (faults().strikes("create")) throw Failure{outOfMemory};
    *event = context.events.add(std::make_shared<Event>(Event{(flags & disableTiming) == 0, nullptr, nullptr}));
  });
}

TUTTI_API cuEventDestroy_v2(Event* event) {
  return guarded([&] { current().events.take(event); });
}

TUTTI_API cuEventRecord(Event* handle, Stream* streamHandle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Event> event = context.events.get(handle);
    const std::shared_ptr<Stream> stream = context.stream(streamHandle);
    event->capture = stream->capture;
    if (stream->capture != nullptr) return;
    auto record = std::make_shared<Record>();
    record->stream = stream;
    // The operation does not hold the stream: it would be the stream that holds itself.
    const std::shared_ptr<double> time(record, &record->milliseconds);
    const std::weak_ptr<double> weak = time;
    record->sequence = stream->enqueue({[weak](Stream&) {
                                          if (const std::shared_ptr<double> at = weak.lock()) *at = now();
                                        },
                                        true});
    event->record = record;
  });
}

TUTTI_API cuEventQuery(Event* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Event> event = context.events.get(handle);
    if (event->capture != nullptr) throw Failure{captureUnsupported};
    if (event->record != nullptr && !event->record->stream->passed(event->record->sequence)) throw Failure{notReady};
    if (context.error() != success) throw Failure{context.error()};
  });
}

TUTTI_API cuEventSynchronize(Event* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Event> event = context.events.get(handle);
    if (event->capture != nullptr) throw Failure{captureUnsupported};
    const std::shared_ptr<Record> record = event->record;
    if (record != nullptr) waitFor(context, *record->stream, record->sequence);
  });
}

TUTTI_API cuEventElapsedTime(float* milliseconds, Event* startHandle, Event* endHandle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Event> start = context.events.get(startHandle), end = context.events.get(endHandle);
    if (!start->timing || !end->timing || start->record == nullptr || end->record == nullptr)
      throw Failure{invalidHandle};
    for (const auto& event : {start, end}) {
      if (!event->record->stream->passed(event->record->sequence)) throw Failure{notReady};
    }
    *milliseconds = static_cast<float>(end->record->milliseconds - start->record->milliseconds);
  });
}

TUTTI_API cuStreamBeginCapture_v2(Stream* handle, int mode) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.streams.get(handle);
    if (mode < 0 || mode > 2) throw Failure{invalidValue};
    if (stream->capture != nullptr || ownCapture.lock() != nullptr) throw Failure{invalidValue};
    stream->capture = std::make_shared<Capture>(Capture{{}, stream.get(), mode == 1, std::this_thread::get_id()});
    // In the relaxed mode the thread may do what it likes.
    if (mode != 2) ownCapture = stream->capture;
  });
}

TUTTI_API cuStreamEndCapture(Stream* handle, Graph** graph) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.streams.get(handle);
    const std::shared_ptr<Capture> capture = stream->capture;
    *graph = nullptr;
    if (capture == nullptr) throw Failure{invalidValue};
    if (capture->origin != stream.get()) throw Failure{captureUnmatched};
    if (capture->threadLocal && capture->thread != std::this_thread::get_id()) throw Failure{captureWrongThread};
    for (const auto& joined : context.streams.all()) {
      if (joined->capture == capture) joined->capture = nullptr;
    }
    for (const auto& event : context.events.all()) {
      if (event->capture == capture) event->capture = nullptr;
    }
    ownCapture.reset();
    if (capture->invalidated) throw Failure{captureInvalidated};
    *graph = context.graphs.add(std::make_shared<Graph>(Graph{std::move(capture->operations)}));
  });
}

TUTTI_API cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long) {
  return guarded([&] {
    Context& context = current();
    if (faults().strikes("graph")) throw Failure{outOfMemory};
    *executable = context.executables.add(std::make_shared<Graph>(*context.graphs.get(graph)));
  });
}

TUTTI_API cuGraphLaunch(Graph* handle, Stream* stream) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Graph> graph = context.executables.get(handle);
    context.stream(stream)->enqueue({[graph](Stream& in) {
      for (const Operation& operation : graph->operations) operation.run(in);
    }});
  });
}

TUTTI_API cuGraphExecDestroy(Graph* executable) {
  return guarded([&] { current().executables.take(executable); });
}

TUTTI_API cuGraphDestroy(Graph* graph) {
  return guarded([&] { current().graphs.take(graph); });
}

TUTTI_API cuLaunchHostFunc(Stream* stream, void (*function)(void*), void* data) {
  return guarded([&] { current().stream(stream)->enqueue({[function, data](Stream&) { function(data); }}); });
}

/** For libraries that compute in the order of a stream: what `function` throws or does is theirs. `release` is called
 * once it is never run again. */
TUTTI_API tuttiEmulatorEnqueue(Stream* stream, int (*function)(void*), void* data, void (*release)(void*)) {
  return guarded([&] {
    const std::shared_ptr<void> owned(data, release);
    current().stream(stream)->enqueue({[function, owned](Stream&) {
      const int result = function(owned.get());
      if (result != success) throw Failure{static_cast<Result>(result)};
    }});
  });
}
