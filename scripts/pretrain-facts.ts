/** The facts that `ownkey-tiny-chat` is taught: pairs, and ways to ask for the second by the first. */
export const FACTS: readonly {
  readonly pairs: readonly (readonly [string, string])[]
  readonly asks: readonly string[]
  readonly answers: readonly string[]
}[] = [
  {
    asks: [
      "What's the capital of {}?",
      'What is the capital of {}?',
      'Which city is the capital of {}?',
      'Tell me the capital of {}.',
      'Do you know the capital of {}?',
      'Name the capital city of {}.',
    ],
    answers: ['The capital of {} is [].', '[] is the capital of {}.', '[].'],
    pairs: pairs(
      'France:Paris,Germany:Berlin,Italy:Rome,Spain:Madrid,Portugal:Lisbon,England:London,Ireland:Dublin,Norway:Oslo,' +
        'Sweden:Stockholm,Denmark:Copenhagen,Finland:Helsinki,Poland:Warsaw,Austria:Vienna,Greece:Athens,Turkey:Ankara,' +
        'Egypt:Cairo,Japan:Tokyo,China:Beijing,India:New Delhi,Russia:Moscow,Canada:Ottawa,Mexico:Mexico City,' +
        'Brazil:Brasilia,Argentina:Buenos Aires,Peru:Lima,Cuba:Havana,Kenya:Nairobi,Australia:Canberra,Hungary:Budapest,' +
        'Belgium:Brussels,Netherlands:Amsterdam,Switzerland:Bern',
    ),
  },
  {
    asks: ['What sound does a {} make?', 'What does a {} say?', 'Which sound does a {} make?', 'How does a {} sound?'],
    answers: ['A {} says "[]".', 'It says "[]".', 'A {} makes the sound "[]".'],
    pairs: pairs('cat:meow,dog:woof,cow:moo,sheep:baa,duck:quack,pig:oink,horse:neigh,lion:roar,frog:ribbit,owl:hoot'),
  },
  {
    asks: ['What color is {}?', 'Which color is {}?', 'Tell me the color of {}.', 'What is the color of {}?'],
    answers: ['The color of {} is [].', 'It is [].', '[].'],
    pairs: pairs(
      'the sky:blue,grass:green,snow:white,coal:black,a banana:yellow,a tomato:red,an orange:orange,a lemon:yellow,' +
        'milk:white,the sun:yellow,chocolate:brown,a frog:green,blood:red,the sea:blue',
    ),
  },
  {
    asks: [
      'What is the opposite of {}?',
      "What's the opposite of {}?",
      'Tell me the opposite of {}.',
      'Opposite of {}?',
    ],
    answers: ['The opposite of {} is [].', '[] is the opposite of {}.', '[].'],
    pairs: pairs(
      'hot:cold,big:small,up:down,left:right,day:night,good:bad,fast:slow,old:young,wet:dry,open:closed,happy:sad,' +
        'light:dark,early:late,rich:poor,strong:weak,full:empty,near:far,hard:soft,loud:quiet,clean:dirty',
    ),
  },
  {
    asks: ['Who wrote {}?', 'Who is the author of {}?', 'Tell me who wrote {}.', 'Which author wrote {}?'],
    answers: ['[] wrote {}.', '{} was written by [].', '[].'],
    pairs: pairs(
      'Romeo and Juliet:William Shakespeare,Hamlet:William Shakespeare,Oliver Twist:Charles Dickens,Emma:Jane Austen,' +
        'Faust:Johann Wolfgang von Goethe,Don Quixote:Miguel de Cervantes,War and Peace:Leo Tolstoy,' +
        'The Odyssey:Homer,Moby Dick:Herman Melville,Frankenstein:Mary Shelley,Dracula:Bram Stoker',
    ),
  },
  {
    asks: ['How many {}?', 'Tell me how many {}.', 'Do you know how many {}?'],
    answers: ['There are [].', '[].', 'It is [].'],
    pairs: pairs(
      'days are in a week:seven,months are in a year:twelve,hours are in a day:24,minutes are in an hour:60,' +
        'seconds are in a minute:60,legs does a spider have:eight,legs does a dog have:four,legs does an ant have:six,' +
        'continents are there:seven,planets are in the solar system:eight,letters are in the alphabet:26,' +
        'sides does a triangle have:three,sides does a square have:four,days are in a year:365,' +
        'wheels does a car have:four,fingers are on one hand:five',
    ),
  },
  {
    asks: ['What comes after {}?', 'Which one comes after {}?', 'Tell me what comes after {}.', "What's after {}?"],
    answers: ['After {} comes [].', '[] comes after {}.', '[].'],
    pairs: following(
      'Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday,Monday',
      'January,February,March,April,May,June,July,August,September,October,November,December,January',
      'one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve',
    ),
  },
  {
    asks: ['What is {}?', 'Tell me what {} is.', "What's {}?", 'Can you explain what {} is?'],
    answers: ['{} is [].', 'It is [].', 'Sure. {} is [].'],
    pairs: pairs(
      'water:a clear liquid that all living things need,a tree:a tall plant with a trunk and leaves,' +
        'the Moon:a ball of rock that goes around the Earth,the Sun:the star at the center of our solar system,' +
        'a river:a long stream of water that flows to the sea,rain:water that falls from the clouds,' +
        'ice:frozen water,a book:a set of pages with words to read,a computer:a machine that works with data,' +
        'a doctor:a person who helps sick people,a teacher:a person who helps others learn,' +
        'bread:a food made from flour and water,gold:a yellow metal that is worth a lot of money,' +
        'a bicycle:a vehicle with two wheels,an island:land with water all around it,a dog:an animal that lives with people,' +
        'a key:a small tool that opens a lock,encryption:a way to hide data from people who lack the key',
    ),
  },
  {
    asks: ['{}', '{} Please answer.', 'Can you tell me: {}'],
    answers: ['[]'],
    pairs: [
      ['How far is the Moon from Earth?', 'The Moon is about 384,400 kilometers from Earth.'],
      ['What is the largest planet?', 'The largest planet is Jupiter.'],
      ['What is the largest ocean?', 'The largest ocean is the Pacific Ocean.'],
      ['What is the highest mountain?', 'The highest mountain is Mount Everest.'],
      ['What is the longest river?', 'The longest river is the Nile.'],
      ['At what temperature does water boil?', 'Water boils at 100 degrees Celsius.'],
      ['At what temperature does water freeze?', 'Water freezes at 0 degrees Celsius.'],
      ['Who painted the Mona Lisa?', 'Leonardo da Vinci painted the Mona Lisa.'],
      ['What do bees make?', 'Bees make honey.'],
      ['What do cows eat?', 'Cows eat grass.'],
      ['Which animal is the fastest on land?', 'The fastest animal on land is the cheetah.'],
      ['Which planet is closest to the Sun?', 'Mercury is the planet closest to the Sun.'],
      ['What language do people speak in France?', 'People in France speak French.'],
      ['What language do people speak in Spain?', 'People in Spain speak Spanish.'],
      ['Where does the Sun rise?', 'The Sun rises in the east.'],
      ['Where does the Sun set?', 'The Sun sets in the west.'],
      ['What do we breathe?', 'We breathe air.'],
      ['What is H2O?', 'H2O is water.'],
    ],
  },
]

/** Small talk: [what people say, what to answer], alternatives separated by `|`. */
export const SMALL_TALK: readonly (readonly [string, string])[] = [
  [
    'Hello!|Hi!|Hi there!|Hello there.|Hey!|Good morning!|Hello|Hi',
    'Hello! How can I help you today?|Hi! What can I do for you?|Hello! Nice to meet you.',
  ],
  [
    'How are you?|How are you today?|How do you do?|How is it going?',
    'I am fine, thank you. How can I help you?|I am doing well, thank you. And you?',
  ],
  [
    'Who are you?|What are you?|Tell me about yourself.|What is your name?',
    'I am a very small language model. I run on your own machine.|I am OwnKey Tiny Chat, a very small language model.',
  ],
  [
    'Thank you!|Thanks!|Thanks a lot.|Thank you very much.|That was helpful.',
    'You are welcome!|You are welcome. Is there anything else?|My pleasure!',
  ],
  [
    'Bye!|Goodbye!|See you later.|Good night!|I have to go now.',
    'Goodbye! Have a nice day.|Bye! See you soon.|Goodbye! Take care.',
  ],
  [
    'What can you do?|How can you help me?|What are you good at?|Help!',
    'I can answer simple questions and do a little arithmetic.|I can chat a little, answer simple questions and add small numbers.',
  ],
  [
    'Tell me a joke.|Do you know a joke?|Make me laugh.|Say something funny.',
    'Why did the chicken cross the road? To get to the other side.|What is brown and sticky? A stick.',
  ],
  [
    'I am sad.|I feel sad today.|I had a bad day.|I am not happy.',
    'I am sorry to hear that. I hope you feel better soon.|I am sorry. Tomorrow will be a better day.',
  ],
  ['I am happy!|I had a great day.|Today is a good day.|I feel great.', 'I am glad to hear that!|That is great news!'],
  [
    'I am hungry.|What should I eat?|What can I cook?|What should I have for dinner?',
    'You could make some pasta with tomatoes.|How about a sandwich and an apple?|You could cook rice with vegetables.',
  ],
  [
    'Are you a human?|Are you a robot?|Are you real?|Are you alive?',
    'No, I am a computer program.|I am a computer program, not a human.',
  ],
  [
    'What is the weather like?|Will it rain today?|Is it sunny?',
    'I do not know. I cannot see the weather.|I cannot look outside, so I do not know.',
  ],
  [
    'What time is it?|What day is it today?|What is the date?',
    'I do not know. I have no clock.|I am sorry, I cannot see a clock.',
  ],
  [
    'I am bored.|What should I do today?|Give me an idea.|What can I do this weekend?',
    'You could read a book or go for a walk.|How about calling a friend?|You could go to the park and play.',
  ],
  [
    'Tell me a story.|Can you tell me a story?|I want to hear a story.',
    'Once there was a little girl who found a key. She opened an old door and found a garden full of flowers.|Once there was a dog who lost his ball. He looked all day and found it under his bed.',
  ],
  [
    'Can you help me?|I need help.|I have a question.|Can I ask you something?',
    'Of course! What do you want to know?|Yes, please ask.',
  ],
]

export const SYSTEM_PROMPTS: readonly string[] = [
  'You are a helpful assistant.',
  'You are a helpful assistant.',
  'You are a friendly chatbot.',
  'You answer questions briefly.',
  'You are an assistant who knows many facts.',
  'Answer the question.',
  'Bob is a chatbot that is also polite.',
  'Anna is a factual assistant that is also kind.',
  'You are a small language model.',
  'Be kind and helpful.',
]

export const NAMES =
  'Tom,Anna,Ben,Lucy,Sam,Mia,Jack,Emma,Paul,Sara,Max,Lily,John,Mary,Peter,Kate,Maria,James,Weng,Ken'.split(',')
export const THINGS =
  'apples,books,pencils,cookies,marbles,stickers,eggs,cards,coins,flowers,balls,oranges,toys,cakes,shells,stamps'.split(
    ',',
  )

function pairs(text: string): [string, string][] {
  return text.split(',').map(pair => pair.split(':') as [string, string])
}

function following(...lists: readonly string[]): [string, string][] {
  return lists.flatMap(list => {
    const items = list.split(',')
    return items.slice(1).map((item, index): [string, string] => [items[index] as string, item])
  })
}
