// Another program on Slipway's topics: Kafka's own Java client, with its defaults.
//
//   java -cp "$(backbones/kafka classpath)" Interop.java BROKER produce TOPIC KEY VALUE NAME=HEADER…
//   java -cp "$(backbones/kafka classpath)" Interop.java BROKER consume TOPIC COUNT
//
// `produce` sends one record. `consume` prints COUNT records from the beginning, one a line:
// the partition it is in, the partition where this client would have put its key, the key,
// `ce_id`, `ce_type` and `content-type`, and the value, with tabs between.
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Interop {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        if (args[1].equals("produce")) {
            produce(settings, args);
        } else {
            consume(settings, args[2], Integer.parseInt(args[3]));
        }
    }

    static void produce(Properties settings, String[] args) throws Exception {
        ProducerRecord<String, String> sent = new ProducerRecord<>(args[2], args[3], args[4]);
        for (int at = 5; at < args.length; at++) {
            String[] header = args[at].split("=", 2);
            sent.headers().add(header[0], header[1].getBytes(StandardCharsets.UTF_8));
        }
        StringSerializer text = new StringSerializer();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, text, text)) {
            producer.send(sent).get();
        }
    }

    static void consume(Properties settings, String topic, int count) {
        settings.put("group.id", "interop");
        settings.put("auto.offset.reset", "earliest");
        StringDeserializer text = new StringDeserializer();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, text, text)) {
            int partitions = consumer.partitionsFor(topic).size();
            consumer.subscribe(List.of(topic));
            while (count > 0) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    byte[] key = record.key().getBytes(StandardCharsets.UTF_8);
                    System.out.println(String.join("\t",
                        String.valueOf(record.partition()),
                        String.valueOf(BuiltInPartitioner.partitionForKey(key, partitions)),
                        record.key(),
                        header(record, "ce_id"),
                        header(record, "ce_type"),
                        header(record, "content-type"),
                        record.value()));
                    count--;
                }
            }
        }
    }

    static String header(ConsumerRecord<String, String> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }
}
