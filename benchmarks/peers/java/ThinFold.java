import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The thin fold of benchmarks/thin.py in Kafka Streams: exactly_once_v2, one thread, a RocksDB store with its changelog.
 * The store's cache is on, so a vehicle's state is written once per commit, as the engine writes it once per batch.
 *
 * Arguments: bootstrap servers, application id, input topic, output topic, state folder.
 */
public final class ThinFold {
    static final String STORE = "states";
    static final int UPDATE_BYTES = 1_000;
    static final int COMMIT_MS = 100;
    static final int CACHE_BYTES = 64 * 1024 * 1024;
    static final int STATE_BYTES = Integer.BYTES + Double.BYTES;

    /** What the fold looks at. */
    public static final class Sample {
        public String vehicleId;
        public Double energyAdded;
    }

    /** Counts a vehicle's samples, keeps its energy, and publishes both with every sample. */
    static final class Fold implements Processor<byte[], byte[], byte[], byte[]> {
        private final ObjectReader reader =
                new ObjectMapper()
                        .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
                        .readerFor(Sample.class);
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, byte[]> states;

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            this.states = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            Sample sample;
            try {
                sample = reader.readValue(record.value());
            } catch (IOException error) {
                throw new IllegalArgumentException("the load holds nothing that cannot be read", error);
            }
            byte[] known = states.get(sample.vehicleId);
            ByteBuffer state = known == null ? null : ByteBuffer.wrap(known);
            int samples = 1 + (state == null ? 0 : state.getInt());
            double before = state == null ? 0.0 : state.getDouble();
            double energy = sample.energyAdded == null ? before : sample.energyAdded;
            byte[] next = ByteBuffer.allocate(STATE_BYTES).putInt(samples).putDouble(energy).array();
            states.put(sample.vehicleId, next);
            context.forward(record.withValue(update(sample.vehicleId, samples, energy)));
        }

        private static byte[] update(String vehicle, int samples, double energy) {
            byte[] value = new byte[UPDATE_BYTES];
            Arrays.fill(value, (byte) 'x');
            String head = "{\"vehicleId\":\"" + vehicle + "\",\"samples\":" + samples + ",\"kwh\":" + energy + ",\"pad\":\"";
            byte[] raw = head.getBytes(StandardCharsets.UTF_8);
            System.arraycopy(raw, 0, value, 0, raw.length);
            value[UPDATE_BYTES - 2] = '"';
            value[UPDATE_BYTES - 1] = '}';
            return value;
        }
    }

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 5);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 1_048_576);
        Topology topology = new Topology();
        topology.addSource("in", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), arguments[2]);
        topology.addProcessor("fold", Fold::new, "in");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray())
                        .withCachingEnabled(),
                "fold");
        topology.addSink("out", arguments[3], Serdes.ByteArray().serializer(), Serdes.ByteArray().serializer(), "fold");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setStateListener(
                (now, before) -> {
                    if (now == KafkaStreams.State.RUNNING) {
                        System.out.println("\"event\": \"worker ready\"");
                        System.out.flush();
                    }
                });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
